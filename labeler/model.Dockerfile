# Trainer and sampler. On a machine with a GPU, TORCH_INDEX names another index of PyTorch.
FROM python:3.12-slim
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /app
COPY pyproject.toml README.md LICENSE ./
COPY labeler labeler
COPY trainer trainer
COPY data data
RUN pip install --no-cache-dir --extra-index-url "$TORCH_INDEX" -c labeler/requirements.lock -e '.[postgres,s3]'
RUN useradd livedpo && mkdir /data /versions && chown livedpo /data /versions
USER livedpo
VOLUME /data
ENTRYPOINT ["livedpo"]
CMD ["sampler"]
