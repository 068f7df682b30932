# syntax=docker/dockerfile:1.17
# The daemons, the webhook and the command line: `kaito manager`, `kaito provisioner`.

ARG PYTHON=python:3.12.11-slim-bookworm

FROM ${PYTHON} AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY kaito kaito
RUN python -m venv /opt/kaito \
    && /opt/kaito/bin/pip install --no-cache-dir --no-compile '.[azure,webhook]'

FROM ${PYTHON}
COPY --from=build /opt/kaito /opt/kaito
ENV PATH=/opt/kaito/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 65532:65532
ENTRYPOINT ["kaito"]
CMD ["--help"]
