// SPDX-License-Identifier: Apache-2.0
// The choice of a kernel table, with and without BITDIAL_FORCE_ISA.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <bitdial/kernels/active.hpp>
#include <bitdial/kernels/cpu_features.hpp>
#include <cstdlib>
#include <string>

namespace kernels = bitdial::kernels;

namespace {

/// What select_kernels() says in a new process whose environment has this BITDIAL_FORCE_ISA.
std::string selected_with(const char* forced) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    if (forced != nullptr) {
      setenv("BITDIAL_FORCE_ISA", forced, 1);
    } else {
      unsetenv("BITDIAL_FORCE_ISA");
    }
    const auto selected = kernels::select_kernels();
    std::string answer = selected ? (*selected)->name : selected.error();
    if (!selected) {
      try {
        static_cast<void>(kernels::active_kernels());
        answer = "no exception";
      } catch (const bitdial::ConfigError& error) {
        if (answer != error.what()) answer = "another text";
      }
    }
    const auto written = write(ends[1], answer.data(), answer.size());
    _exit(written == static_cast<ssize_t>(answer.size()) ? 0 : 1);
  }
  close(ends[1]);
  std::string answer;
  char buffer[256];
  for (ssize_t n = 0; (n = read(ends[0], buffer, sizeof buffer)) > 0;) {
    answer.append(buffer, static_cast<std::size_t>(n));
  }
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(status == 0);
  return answer;
}

}  // namespace

// The fork must see a process that has not selected yet, so no other test here calls
// select_kernels() in the parent.
TEST_CASE("the strongest table is chosen; the test-only one is not") {
  const auto tables = kernels::supported_kernels();
  REQUIRE(!tables.empty());
  CHECK(selected_with(nullptr) == tables.front()->name);
  CHECK(selected_with("") == tables.front()->name);
  CHECK(std::string{tables.front()->name} != "scalar_odd");
  CHECK(std::string{tables.back()->name} == "scalar_odd");
}

TEST_CASE("BITDIAL_FORCE_ISA chooses every available table by name") {
  for (const auto* table : kernels::supported_kernels()) {
    CHECK(selected_with(table->name) == table->name);
  }
}

TEST_CASE("an unknown name is an error that lists the available names") {
  const std::string answer = selected_with("pentium");
  CHECK(answer.starts_with("BITDIAL_FORCE_ISA: "));
  CHECK(answer.find("\"pentium\"") != std::string::npos);
  for (const auto* table : kernels::supported_kernels()) {
    CHECK(answer.find(table->name) != std::string::npos);
  }
}

TEST_CASE("find_kernels takes whole names only") {
  for (const auto* table : kernels::supported_kernels()) {
    const auto found = kernels::find_kernels(table->name);
    REQUIRE(found);
    CHECK(*found == table);
  }
  CHECK(!kernels::find_kernels(""));
  CHECK(!kernels::find_kernels("scala"));
  CHECK(!kernels::find_kernels("SCALAR"));
}

TEST_CASE("names are unique") {
  for (const auto* a : kernels::isa_list) {
    CHECK(std::count_if(std::begin(kernels::isa_list), std::end(kernels::isa_list),
                        [&](const auto* b) { return std::string{a->name} == b->name; }) == 1);
  }
}

TEST_CASE("cpuid agrees with the compiler's own reader") {
#if defined(__x86_64__)
  using kernels::CpuidRegister;
  CHECK(kernels::cpuid_has(1, 0, CpuidRegister::edx, 1U << 26));  // SSE2: every x86-64 has it
  CHECK(kernels::cpuid(0x7fffffff, 0, CpuidRegister::eax) == 0);  // a leaf that no CPU knows
  __builtin_cpu_init();
  CHECK((kernels::cpuid_has(7, 0, CpuidRegister::ebx, 1U << 5) && kernels::os_saves_registers(6)) ==
        (__builtin_cpu_supports("avx2") != 0));
  CHECK((kernels::cpuid_has(7, 0, CpuidRegister::ecx, 1U << 11) &&
         kernels::os_saves_registers(0xe6)) == (__builtin_cpu_supports("avx512vnni") != 0));
#else
  CHECK(!kernels::os_saves_registers(0));
#endif
}
