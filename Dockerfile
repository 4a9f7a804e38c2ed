# kraal alone: one static binary, no shell, no JVM, not root.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/kraal ./tools/kraal \
 && mkdir -p /out/data /out/etc/kraal && printf 'log.dirs=/data\n' > /out/etc/kraal/server.properties

FROM scratch
COPY --from=build /out/kraal /kraal
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build /out/etc/kraal /etc/kraal
USER 65532:65532
VOLUME /data
EXPOSE 9092 9644
ENTRYPOINT ["/kraal"]
CMD ["server", "/etc/kraal/server.properties"]
