# The image of lab-alerts: one process tree, no root, nothing written but /data.
#
# The base is pinned by tag. To pin it by content, too, write its digest behind the tag in both FROM lines:
#   docker buildx imagetools inspect python:3.13-slim-bookworm     shows it: ...slim-bookworm@sha256:...

FROM python:3.13-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
RUN python -m venv /opt/lab-alerts
# The dependencies first: they change less often than the program, and the layer is kept.
COPY requirements.lock ./
RUN /opt/lab-alerts/bin/pip install --quiet --require-hashes --requirement requirements.lock
COPY pyproject.toml setup.cfg README.md LICENSE wsgi.py ./
COPY service ./service
COPY migrations ./migrations
RUN /opt/lab-alerts/bin/pip install --quiet --no-deps . \
    && /opt/lab-alerts/bin/pip uninstall --quiet --yes pip

FROM python:3.13-slim-bookworm
LABEL org.opencontainers.image.title="lab-alerts" \
      org.opencontainers.image.description="Flags possible blood findings in laboratory panels, and says why" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 lab-alerts \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin lab-alerts \
    && install --directory --owner 10001 --group 10001 --mode 0700 /data
COPY --from=build /opt/lab-alerts /opt/lab-alerts
# PORT makes the service listen on every address of the container; -e PORT=... or LAB_ALERTS_BIND chooses another.
ENV PATH=/opt/lab-alerts/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PORT=8000
# The default database, sqlite:///var/lab-alerts.db, is relative: from here it is /data/var/lab-alerts.db. It is not an
# ENV line, because LAB_ALERTS_DATABASE_URL and LAB_ALERTS_DATABASE_URL_FILE together are refused.
WORKDIR /data
VOLUME /data
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 CMD ["lab-alerts", "healthcheck"]
CMD ["lab-alerts", "serve"]
