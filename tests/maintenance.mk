# For those who work on udsd: make help, lint, format, check-man, coverage, run.

EXTRA_DIST += bootstrap .clang-format .clang-tidy .ci/run .ci/chroot .ci/deb .ci/readme

c_files = $(filter %.c %.h,$(src_libudsd_a_SOURCES) $(src_udsd_SOURCES) $(src_udsc_SOURCES) \
	$(src_udsctl_SOURCES) $(handlers_echo_SOURCES) $(unit_tests:=.c) $(unit_headers) \
	$(fuzzers:=.c) $(fuzz_headers) $(bench_files))
c_sources = $(filter-out tests/bench/%,$(filter %.c,$(c_files)))
in_srcdir = cd $(srcdir) &&
mans = $(dist_man_MANS)

.PHONY: help lint format check-format check-includes check-man coverage
help:
	@echo 'make run            serve run/echo.sock in the foreground'
	@echo 'make check          the tests (TESTS=... for some of them)'
	@echo 'make deb            a Debian package (./bootstrap --deps deb: what it needs)'
	@echo 'make soak           a million connections; reloads, upgrades, kills and stops under load (SOAK=...)'
	@echo 'make bench          measure beside a bare loop and other servers (QUICK=1: less long)'
	@echo 'make bench-ladder   what each step of udsd costs, one added at a time'
	@echo 'make check-valgrind memcheck and open descriptors: the unit tests, and udsd for a little while'
	@echo 'make faults         every call of the system fails, with each plausible error (FAULTS=...)'
	@echo 'make fuzz           each fuzzer for FUZZ_SECONDS (configure CC=clang --enable-fuzzing)'
	@echo 'make lint           cppcheck and clang-tidy'
	@echo 'make format         clang-format all C files'
	@echo 'make check-format   ... or only say what it would change'
	@echo 'make check-includes which file of src includes which: no circle, and no folder that it may not'
	@echo 'make check-man      lint the manual pages'
	@echo 'make coverage       the tests, then the lines covered (configure --enable-coverage)'

tidy_runs = $(addprefix tidy/,$(c_sources))
lint: check-includes cppcheck $(tidy_runs)
.PHONY: cppcheck $(tidy_runs)
cppcheck: build.h directories.h
	cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr \
		--enable=warning,performance,portability --suppress=missingIncludeSystem --suppress=varFuncNullUB \
		'--suppress=nullPointerRedundantCheck:*tests/unit/*' \
		--include=build.h -I. $(filter-out -include build.h,$(AM_CPPFLAGS)) \
		$(addprefix $(srcdir)/,$(c_sources))
$(tidy_runs): tidy/%: build.h directories.h
	@clang-tidy --quiet '$(abs_top_srcdir)/$*' -- -std=gnu17 \
		-include '$(abs_top_builddir)/build.h' $(filter-out -include build.h,$(AM_CPPFLAGS)) \
		'-I$(abs_top_builddir)' '-I$(abs_top_srcdir)/src' $(CONFUSE_CFLAGS)

format:
	$(in_srcdir) clang-format -i $(c_files)

check-format:
	$(in_srcdir) clang-format --dry-run -Werror $(c_files)

check-includes:
	@$(PYTHON) $(srcdir)/tests/check-includes $(srcdir)/src

check-man:
	@$(in_srcdir) if command -v mandoc >/dev/null; then \
		echo mandoc -T lint -W warning $(mans); mandoc -T lint -W warning $(mans); \
	else echo groff -mdoc -ww -z $(mans); \
		out=`groff -mdoc -Tutf8 -ww -z $(mans) 2>&1`; echo "$$out"; test -z "$$out"; fi

# Workers and handlers write their counts as other users, so all may write the files, which are there
# before; they must also get there: not in a home directory that only its owner may enter. The figures
# are printed even if a test fails.
coverage:
if COVERAGE
	find . -name '*.gcda' -exec rm -f {} +
	for f in `find src handlers -name '*.gcno'`; do : >"$${f%no}da" && chmod a+rw "$${f%no}da"; done
	@$(MAKE) $(AM_MAKEFLAGS) check; status=$$?; \
	$(GCOV) -n `find src -name '*.gcda'` 2>/dev/null | $(AWK) -F"[':% ]+" ' \
		/^File/ { own = $$2 ~ /src\/[a-z_\/]*\.c$$/; name = $$2; sub(/.*src\//, "", name) } \
		/^Lines executed/ && own { own = 0; n = $$NF; c = n * $$3 / 100; all += n; hit += c; \
			printf "%6.2f %% of %4d  %s\n", $$3, n, name } \
		END { printf "%6.2f %% of %4d  in all\n", 100 * hit / all, all }'; \
	exit $$status
else
	@echo 'make coverage: configure with --enable-coverage first' >&2; exit 1
endif

# ---- make run -----------------------------------------------------------------------------

# The supervisor on an echo service in the build tree. With a terminal, udsd becomes its
# foreground job (set -m), so that Ctrl-C goes to udsd only and make sees a clean end.
run_socket = $(abs_top_builddir)/run/echo.sock
run_user = `if test "$$(id -u)" = 0; then echo '    user = "root"'; fi`
.PHONY: run
run: all
	@if test "$$(printf %s '$(run_socket)' | wc -c)" -ge 108; then \
		echo 'make run: this path is too long for a socket: $(run_socket)' >&2; exit 1; fi
	@$(MKDIR_P) run
	@printf '%s\n' 'pid-file = ""' 'control-socket = ""' 'service echo {' \
		'    socket = "$(run_socket)"' \
		'    handler = { "$(abs_top_builddir)/handlers/echo" }' \
		"$(run_user)" '}' >run/udsd.conf
	@echo 'In a second terminal: src/udsc run/echo.sock world!'
	@echo 'Ctrl-C ends it.'
	@if test -t 0; then set -m; fi; src/udsd -f -c run/udsd.conf; exit $$?
