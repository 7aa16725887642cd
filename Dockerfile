# bulk-upload in a container; docs/how-to/docker.md says how to build and run it.

# A release of a Python that pyproject.toml names. Whatever is installed has wheels for it: nothing is compiled.
ARG PYTHON=3.13.9-slim-trixie

FROM python:${PYTHON} AS build
WORKDIR /src
COPY pyproject.toml hatch_readme.py README.md LICENSE ./
COPY docs/man docs/man
COPY manifests manifests
COPY bulk_upload bulk_upload
# Without pip of its own the environment is half as large.
RUN python -m venv --without-pip /opt/bulk-upload \
 && python -m pip --python /opt/bulk-upload/bin/python install --no-cache-dir --disable-pip-version-check .

FROM python:${PYTHON}
COPY --from=build /opt/bulk-upload /opt/bulk-upload
# New volumes take over whose these are.
RUN install -d -o 10001 -g 10001 /data /ledgers
# Beside read-only data no ledger can lie.
ENV PATH=/opt/bulk-upload/bin:$PATH BULK_UPLOAD_LEDGER_DIR=/ledgers
# A number: Kubernetes cannot tell whether a name is root's.
USER 10001:10001
WORKDIR /data
VOLUME ["/data", "/ledgers"]
ENTRYPOINT ["bulk-upload"]
CMD ["--help"]
