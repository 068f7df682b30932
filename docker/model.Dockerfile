# syntax=docker/dockerfile:1.17
# An engine with a model inside, for clusters that reach no registry of models: use it as the image
# of inference.template. The weights are a build context of their own:
#   docker build -f docker/model.Dockerfile --build-context weights=DIRECTORY --build-arg BASE=... .

# A build names its base, by digest.
ARG BASE=kaito-base:0.5.0

FROM ${BASE}
# Not a stage: the build context that the command above names.
# hadolint ignore=DL3022
COPY --from=weights . /workspace/weights
USER 65532:65532
ENTRYPOINT ["python3", "/workspace/vllm/inference_api.py", "--model=/workspace/weights"]
