# The gateway. Run it on the host's network; or publish 8080/tcp and 3478-3480/udp and mount a config/postern.yaml whose
# listen.udp.public has the host's address, since peers are told the container's own otherwise. Keep /state, which has the
# names and the tokens that were made up.

# What browsers load is bundled, and that takes the tools of a developer.
FROM docker.io/library/node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY tools ./tools
RUN npm ci
COPY tsconfig.json tsconfig.build.json tsconfig.browser.json ./
COPY src ./src
RUN npm run build

FROM docker.io/library/node:24-bookworm-slim
ENV NODE_ENV=production POSTERN_STATE=/state
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY tools ./tools
RUN npm ci --omit=dev && rm -rf /root/.npm /tmp/*
COPY bin ./bin
COPY config ./config
COPY --from=build /app/dist ./dist
RUN mkdir /state && chown node:node /state
USER node
VOLUME /state
EXPOSE 8080/tcp 3478/udp 3479/udp 3480/udp
HEALTHCHECK --interval=30s --timeout=3s CMD ["node", "bin/postern.js", "healthcheck", "--config", "config/postern.yaml"]
STOPSIGNAL SIGTERM
CMD ["node", "bin/postern.js", "gateway", "--config", "config/postern.yaml"]
