# The App as a container: no shell command at start, an unprivileged user, nothing written outside /var/lib/interlock and /tmp.
# Pin the base by digest in your own build: docker buildx imagetools inspect python:3.13-slim-trixie
FROM python:3.13-slim-trixie AS wheels
COPY requirements-postgres.lock /tmp/requirements-postgres.lock
RUN python -m venv /opt/interlock \
 && /opt/interlock/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes --only-binary :all: -r /tmp/requirements-postgres.lock

FROM python:3.13-slim-trixie
# git is the only program that Interlock starts. Debian keeps one version of it at a time, so a pin would only break the build.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends git \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --home-dir /var/lib/interlock --create-home --shell /usr/sbin/nologin interlock
COPY --from=wheels /opt/interlock /opt/interlock
COPY app.yml LICENSE NOTICE /opt/interlock/app/
COPY checks /opt/interlock/app/checks
COPY bot /opt/interlock/app/bot
ENV INTERLOCK_DATA=/var/lib/interlock PYTHONPATH=/opt/interlock/app PYTHONDONTWRITEBYTECODE=1 PYTHONSAFEPATH=1
USER 10001:10001
WORKDIR /var/lib/interlock
VOLUME /var/lib/interlock
EXPOSE 8480
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
  CMD ["/opt/interlock/bin/python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8480/healthz', timeout=4)"]
ENTRYPOINT ["/opt/interlock/bin/python", "-m", "bot.cli"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8480"]
