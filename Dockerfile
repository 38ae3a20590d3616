# The functions of api/ behind one port. The version is that of .python-version; every package is pinned.
FROM python:3.12-slim-bookworm@sha256:782412e85d0f0984994c290652577d4018aff08145c85b262bb63dc0c7522254

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONUNBUFFERED=1

WORKDIR /app

# A layer of its own, so that a change of the code does not install the packages anew.
COPY requirements.txt ./
RUN python -m pip install -r requirements.txt

COPY vercel.json ./
COPY lib ./lib
COPY api ./api
# At run time the folder can't be written to, so without this each start would compile everything.
RUN python -m compileall -q lib api

# A number, so that Kubernetes can see that it is not root.
USER 10001:10001

ENV PORT=8000
EXPOSE 8000

HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/api/health', timeout=2)"]

# Without a shell between, SIGTERM arrives at the server.
CMD ["python", "-m", "lib.kairo_metrics", "serve", "--host", "0.0.0.0"]
