# The gateway, or any other command of postern. docs/operations.md has how to run it, what takes the room in it, and what it needs: the
# host's network, or published ports and a listen.udp.public; a volume at /state, which any user may begin to use.

# One file for each part of the program takes the tools of a developer (tools/image.ts).
FROM docker.io/library/node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY tools ./tools
RUN npm ci --ignore-scripts
COPY LICENSE ./
COPY bin ./bin
COPY config ./config
COPY src ./src
RUN node tools/image.ts /image/app && mkdir --mode=1777 /image/state

FROM docker.io/library/node:24-bookworm-slim
ARG VERSION=0.1.0 REVISION="" SOURCE=""
LABEL org.opencontainers.image.title="postern" \
      org.opencontainers.image.description="Relay-fallback gateway for NAT traversal" \
      org.opencontainers.image.source="$SOURCE" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
# Whoever it runs as makes these folders, each for itself alone.
ENV NODE_ENV=production POSTERN_STATE=/state/postern POSTERN_HOME=/state/peer
COPY --from=build /image /
WORKDIR /app
USER 1000:1000
VOLUME /state
EXPOSE 8080/tcp 3478/udp 3479/udp 3480/udp
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["node", "bin/postern.js", "healthcheck", "--config", "config/postern.yaml"]
STOPSIGNAL SIGTERM
CMD ["node", "bin/postern.js", "gateway", "--config", "config/postern.yaml"]
