# Habits.  The build itself is CMakeLists.txt; what must be installed is tools/setup.

BUILD   ?= build
TYPE    ?= RelWithDebInfo
JOBS    ?= $(shell nproc)
DATA    ?= data
SECRET  := $(DATA)/instance_secret
NAME    ?= fresnel

.PHONY: all run test check bench asan tsan clang fuzz faults fmt tidy clean setup

all: setup $(BUILD)/build.ninja
	@ninja -C $(BUILD) -j $(JOBS) fresnel

setup:
	@tools/setup build

$(BUILD)/build.ninja: CMakeLists.txt | setup
	@cmake -S . -B $(BUILD) -G Ninja -DCMAKE_BUILD_TYPE=$(TYPE) >$(BUILD)/cmake.log || (cat $(BUILD)/cmake.log; exit 1)

# Starts a server on 127.0.0.1:3210 (and 3211 for HTTP actions); the data stays in $(DATA)/.
run: all
	@mkdir -p $(DATA)
	@[ -s $(SECRET) ] || (umask 077; od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >$(SECRET))
	@exec $(BUILD)/fresnel --interface 127.0.0.1 --port 3210 --site-proxy-port 3211 \
	  --instance-name $(NAME) --instance-secret $$(cat $(SECRET)) \
	  --local-storage $(DATA)/storage --banner $(DATA)/fresnel.sqlite3

# Everything: units, wire scripts, simulator, sanitizers, official clients, browser.
test:
	@tools/setup test
	@tools/test all

# The quick half, under two minutes.
check:
	@tools/setup build
	@tools/test quick

bench:
	@tools/setup bench
	@$(MAKE) --no-print-directory all
	@ninja -C $(BUILD) run_bench bench_data >/dev/null
	@echo "one function run, measured inside, heap reset included:"
	@$(BUILD)/run_bench
	@node bench/read.mjs
	@$(BUILD)/bench_data
	@bench/run

asan:
	@tools/setup test
	@tools/test asan

tsan:
	@tools/setup test
	@tools/test tsan

clang:
	@tools/setup test
	@tools/test clang

fuzz:
	@tools/setup test
	@tools/test fuzz

# Deliberate faults: the tests must catch each of them.  FAULTS="name name" for some.
faults:
	@tools/setup test
	@tools/faults $(FAULTS)

# The lines that you changed since the last commit.
fmt:
	@git clang-format-14 --binary clang-format-14 --extensions c,h HEAD || true

tidy:
	@tools/tidy
	@tools/layers

clean:
	@rm -rf $(BUILD) build-*
