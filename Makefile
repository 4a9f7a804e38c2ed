# Everything a developer runs. `make test` is the whole gate, and what .ci/run calls.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
export CGO_ENABLED ?= 0

.PHONY: build demo test quick bench fuzz kill faults groups interop handover mixed cross clean

build: ## the one static binary, bin/kraal
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/kraal ./tools/kraal

demo: ## ZooKeeper, a broker, a topic, a message in and out
	./tools/demo/run.sh

test: ## vet, every test under the race detector, and the cross builds
	CGO_ENABLED=1 go vet ./...
	CGO_ENABLED=1 go test -race -timeout 20m ./...
	$(MAKE) cross

quick: ## the tests without the race detector
	go test ./...

cross: ## it builds for what it says it builds for
	GOOS=darwin GOARCH=arm64 go build -o /dev/null ./tools/kraal
	GOOS=windows GOARCH=amd64 go build -o /dev/null ./tools/kraal

bench: ## benchmarks beside the code
	go test -run '^$$' -bench . -benchmem ./broker/...

FUZZTIME ?= 10m
fuzz: ## every fuzz target, FUZZTIME each
	@go list ./... | while read -r p; do \
	  for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz'); do \
	    echo "== $$p $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$p || exit 1; \
	  done; done

KILLS ?= 50
kill: ## kill -9 at random moments under produce, KILLS times
	KRAAL_KILLS=$(KILLS) go test -run TestKillKeepsAcknowledged -count=1 -timeout 60m -v ./broker

FAULTS ?= 200
SEED ?= $(shell date +%s)
faults: ## a fleet of three and its ZooKeepers suffer FAULTS faults, drawn from SEED; then the history is checked
	KRAAL_FAULTS=$(FAULTS) KRAAL_SEED=$(SEED) go test -run 'TestFaults$$' -count=1 -timeout 24h -v ./broker

GROUPS ?= 2000
groups: ## GROUPS groups of five members on one coordinator: what they cost it
	KRAAL_GROUPS=$(GROUPS) go test -run 'TestManyGroups$$' -count=1 -timeout 30m -v ./broker

interop: build ## stock clients of other people against a kraal broker; installs what it needs
	./tools/interop/run.sh

HANDOVERS ?= 4
handover: ## one broker's id and log directory handed to Apache Kafka 3.9.1 and back, HANDOVERS times; installs what it needs
	KRAAL_HANDOVERS=$(HANDOVERS) ./tools/interop/handover.sh

mixed: ## kraal and Apache Kafka 3.9.1 in one cluster, and swapped for each other broker by broker; installs what it needs
	./tools/interop/mixed.sh

clean:
	rm -rf bin dist .run
