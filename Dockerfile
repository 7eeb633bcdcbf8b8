# stoplog: gate and command line. The lock pins every package with its hash.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY requirements/run.lock requirements/run.lock
RUN python -m venv /opt/stoplog \
 && /opt/stoplog/bin/pip install --no-cache-dir --require-hashes -r requirements/run.lock
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY rules rules
COPY streams streams
COPY examples examples
RUN /opt/stoplog/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /var/lib/stoplog --create-home stoplog \
 && install -d -o stoplog -m 700 /etc/stoplog/keys /var/lib/stoplog/state /var/cache/stoplog
COPY --from=build /opt/stoplog /opt/stoplog
ENV PATH=/opt/stoplog/bin:$PATH STOPLOG_STATE_DIR=/var/lib/stoplog/state KF_RULE_CACHE_DIR=/var/cache/stoplog
USER stoplog
# Compiles the detectors of secrets here, once, and not whenever a gate starts.
RUN python -c "from streams.policy.ext.table import load_libraries; load_libraries()"
WORKDIR /var/lib/stoplog
VOLUME /var/lib/stoplog
ENTRYPOINT ["stoplog"]
CMD ["gate"]
