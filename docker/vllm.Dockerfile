# syntax=docker/dockerfile:1.17
# The engine for GPUs, kaito-base: vLLM's own image with Ray for several nodes and kaito.engine in
# front. It has the transformers server, too, for the manager gives one image to both runtimes.

ARG VLLM=vllm/vllm-openai:v0.25.1

# Templates of chats with tools are among vLLM's examples, which are no part of its wheel. The names
# are those that the manager gives (kaito/catalog/data/engine.toml, chat_template).
FROM ${VLLM} AS templates
ADD https://github.com/vllm-project/vllm.git#v0.25.1:examples /src
RUN install -d /templates \
    && for pair in deepseekr1:deepseekr1 deepseekv3:deepseekv3 gemma4:gemma4 hermes:hermes \
        llama3.1_json:llama3.1-json mistral:mistral phi4_mini:phi4-mini; do \
        found="$(find /src -name "tool_chat_template_${pair%%:*}.jinja" -print -quit)" \
        && install -m 0444 "${found}" "/templates/tool-chat-${pair##*:}.jinja" \
        || exit 1; \
    done

FROM ${VLLM}
# vLLM 0.25.1 brings neither Ray, nor the streamer of weights, nor what trains.
RUN python3 -m pip install --no-cache-dir \
        accelerate==1.15.0 \
        backports.zstd==1.8.0 \
        bitsandbytes==0.50.2 \
        datasets==5.2.0 \
        oras==0.2.43 \
        peft==0.21.2 \
        pyarrow==26.0.1 \
        ray==2.60.0 \
        'runai-model-streamer[azure,gcs,s3]==0.17.0' \
        trl==1.16.0
COPY --from=templates /templates /workspace/chat_templates
COPY kaito/__init__.py /opt/kaito/kaito/__init__.py
COPY kaito/engine /opt/kaito/kaito/engine
# The commands that the manager gives (kaito/controllers/workspace/command.py and group.py).
COPY --chmod=0555 docker/workspace /workspace
# Weights where no volume is mounted, and caches of compiled kernels: of whichever user it runs as.
RUN install -d -m 1777 /workspace/weights /workspace/tfs/weights /home/engine
ENV DO_NOT_TRACK=1 \
    HOME=/home/engine \
    PYTHONPATH=/opt/kaito \
    PYTHONUNBUFFERED=1 \
    USER=engine
USER 65532:65532
EXPOSE 5000
ENTRYPOINT ["python3", "/workspace/vllm/inference_api.py"]
