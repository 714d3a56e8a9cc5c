# One image for every role: docker run ranvier miner|validator|engine|chain ...
# Build for a GPU box:  docker build --build-arg TORCH_REQUIREMENT=torch==2.13.0 -t ranvier .
# Build without models: docker build --build-arg EXTRAS= -t ranvier:base .
FROM python:3.11-slim
ARG EXTRAS=models
ARG TORCH_REQUIREMENT=torch==2.13.0
ARG PIP_EXTRA_INDEX_URL=
ENV TORCH_REQUIREMENT=${TORCH_REQUIREMENT} PIP_EXTRA_INDEX_URL=${PIP_EXTRA_INDEX_URL} PIP_NO_CACHE_DIR=1
WORKDIR /opt/ranvier
COPY . .
RUN scripts/install /opt/venv "${EXTRAS}" && useradd --create-home --uid 10001 ranvier \
    && mkdir -p /var/lib/ranvier && chown ranvier:ranvier /var/lib/ranvier
USER ranvier
ENV PATH=/opt/venv/bin:$PATH RANVIER_HOME=/var/lib/ranvier PYTHONUNBUFFERED=1
VOLUME /var/lib/ranvier
ENTRYPOINT ["ranvier"]
CMD ["--help"]
