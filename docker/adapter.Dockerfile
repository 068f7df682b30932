# syntax=docker/dockerfile:1.17
# An adapter as inference.adapters[].source.image pulls it: nothing but files below /data.
#   docker build -f docker/adapter.Dockerfile DIRECTORY

FROM scratch
COPY . /data/
USER 65532:65532
