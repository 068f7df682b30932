# syntax=docker/dockerfile:1.17
# The transformers server and the trainer, for nodes without GPUs: a third of kaito-base.

ARG PYTHON=python:3.12.11-slim-bookworm

FROM ${PYTHON}
# The versions that docs/engine.md measures; PyTorch's build for processors.
RUN pip install --no-cache-dir --no-compile \
        --extra-index-url https://download.pytorch.org/whl/cpu torch==2.13.0+cpu \
    && pip install --no-cache-dir --no-compile \
        accelerate==1.15.0 \
        aiohttp==3.14.5 \
        backports.zstd==1.8.0 \
        bitsandbytes==0.50.2 \
        datasets==5.2.0 \
        fastapi==0.165.0 \
        httptools==0.9.0 \
        openai==3.52.0 \
        oras==0.2.43 \
        peft==0.21.2 \
        prometheus-client==0.26.0 \
        psutil==7.2.2 \
        pyarrow==26.0.1 \
        pyyaml==6.0.3 \
        'transformers[serving]==5.23.0' \
        trl==1.16.0 \
        uvicorn==0.54.0 \
        uvloop==0.23.0
COPY kaito/__init__.py /opt/kaito/kaito/__init__.py
COPY kaito/engine /opt/kaito/kaito/engine
COPY --chmod=0555 docker/workspace/tfs /workspace/tfs
RUN install -d -m 1777 /workspace/weights /workspace/tfs/weights /home/engine
ENV HOME=/home/engine \
    PYTHONPATH=/opt/kaito \
    PYTHONUNBUFFERED=1 \
    USER=engine
USER 65532:65532
EXPOSE 5000
ENTRYPOINT ["python3", "/workspace/tfs/inference_api.py"]
