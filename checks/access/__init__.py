"""Who may do what: the semantics that several detectors share."""
