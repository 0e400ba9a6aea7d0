# The server alone. BASE is any Debian-like image with Python 3.11 to 3.13.
#   docker build -t foldserve .
#   docker run -p 8500:8500 -p 8501:8501 -v "$PWD/models:/models:ro" foldserve
#   docker run … foldserve --model_config_file=/models/models.config
ARG BASE=python:3.11-slim
FROM ${BASE} AS build
COPY . /src
RUN python3 -m venv /opt/foldserve \
 && /opt/foldserve/bin/python -m pip install --no-cache-dir --constraint /src/constraints.txt '/src[server]'

FROM ${BASE}
COPY --from=build /opt/foldserve /opt/foldserve
RUN useradd --system --no-create-home foldserve
USER foldserve
ENV PATH=/opt/foldserve/bin:$PATH PYTHONUNBUFFERED=1 FOLDSERVE_MODELS=/models
EXPOSE 8500 8501
VOLUME /models
STOPSIGNAL SIGTERM
ENTRYPOINT ["serve-model", "--host", "0.0.0.0"]
