# stoplog: gate and command line. The lock pins every package with its hash.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY requirements/run.lock requirements/run.lock
RUN python -m venv /opt/stoplog \
 && /opt/stoplog/bin/pip install --no-cache-dir --require-hashes -r requirements/run.lock
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY rules rules
COPY shadow_rules shadow_rules
COPY streams streams
COPY examples examples
RUN /opt/stoplog/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim-bookworm
# `stoplog demo` makes a repository for the MCP server for git.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends git \
 && rm -rf /var/lib/apt/lists/*
# Named volumes take the owner of the folder that they are mounted on.
RUN useradd --system --uid 10001 --home-dir /var/lib/stoplog --create-home stoplog \
 && install -d -o stoplog -m 700 /etc/stoplog/keys /etc/stoplog/executor /var/lib/stoplog/state /var/cache/stoplog \
 && install -d -o stoplog /srv/mail
COPY --from=build /opt/stoplog /opt/stoplog
ENV PATH=/opt/stoplog/bin:$PATH STOPLOG_STATE_DIR=/var/lib/stoplog/state KF_RULE_CACHE_DIR=/var/cache/stoplog
USER stoplog
# Compiles the detectors of secrets here, once, and not whenever a gate starts.
RUN python -c "from streams.policy.ext.table import load_libraries; load_libraries()"
WORKDIR /var/lib/stoplog
VOLUME /var/lib/stoplog
# Gates and token services serve their health on loopback inside the container. For other commands of this image, turn
# the check off (`--no-healthcheck`).
ENV STOPLOG_METRICS__LISTEN=:9464
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 \
  CMD ["python", "-c", "import http.client; ask = http.client.HTTPConnection('127.0.0.1', 9464, timeout=3); ask.request('GET', '/health/ready'); raise SystemExit(ask.getresponse().status != 200)"]
ENTRYPOINT ["stoplog"]
CMD ["gate"]
