# Web and scheduler: without torch and what needs it, which neither imports.
FROM python:3.12-slim
WORKDIR /app
COPY pyproject.toml README.md LICENSE ./
COPY labeler labeler
COPY trainer trainer
COPY data data
RUN grep -vE '^(torch|accelerate|peft|transformers)==' labeler/requirements.lock > /tmp/web.lock \
 && pip install --no-cache-dir --no-deps -r /tmp/web.lock \
 && pip install --no-cache-dir 'psycopg[binary]>=3.2,<4' \
 && pip install --no-cache-dir --no-deps -e .
RUN useradd livedpo && mkdir /data /versions && chown livedpo /data /versions
USER livedpo
VOLUME /data
ENTRYPOINT ["livedpo"]
CMD ["web"]
