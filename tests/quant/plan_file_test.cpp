// SPDX-License-Identifier: Apache-2.0
#include <bitdial/quant/plan_file.hpp>

#include <cstddef>
#include <cstdio>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/core/random.hpp>

using namespace bitdial;

namespace {

const std::string example =
    "bitdial plan 1\n"
    "network: resnet8, 28 x 28 x 1\n"
    "cost: 1.99 bits\n"
    "\n"
    "# layer   precision\n"
    "stem      w8a8\n"
    "conv1     w3a2\n"
    "conv2     w1a4\n";

std::string error_of(const std::string& text) {
  const auto file = PlanFile::parse(text);
  REQUIRE_FALSE(file);
  return file.error();
}

}  // namespace

TEST_CASE("text, parse, text: the same") {
  const auto file = PlanFile::parse(example);
  REQUIRE(file);
  CHECK(file->network == "resnet8, 28 x 28 x 1");
  CHECK(file->cost == "1.99 bits");
  REQUIRE(file->layers.size() == 3);
  CHECK(file->layers[1] == PlanFile::Entry{"conv1", {3, 2}});
  CHECK(file->text() == example);
  CHECK(*PlanFile::parse(file->text()) == *file);

  std::string windows;
  for (const char c : example) windows += c == '\n' ? std::string{"\r\n"} : std::string{c};
  CHECK(*PlanFile::parse(windows) == *file);
}

TEST_CASE("layers are found by name, in the order of the network") {
  const PlanFile file = PlanFile::parse(example).value();
  CHECK(file.plan_for(std::vector<std::string>{"conv2", "stem", "conv1"}).value().text() ==
        "w1a4,w8a8,w3a2");
  CHECK(file.plan_for(std::vector<std::string>{"stem", "conv1", "conv3"}).error() ==
        "plan file: layer \"conv3\" of the network has no line; the plan is for resnet8, 28 x 28 x "
        "1");
  CHECK(file.plan_for(std::vector<std::string>{"stem", "conv1"}).error() ==
        "plan file: the network has no quantized layer \"conv2\"; the plan is for resnet8, 28 x 28 "
        "x 1");

  const std::vector<std::string> names{"a", "b"};
  const PlanFile made = PlanFile::of(PrecisionPlan::parse("w2a4,w8a8").value(), names).value();
  CHECK(made.plan_for(names).value().text() == "w2a4,w8a8");
  CHECK(PlanFile::of(PrecisionPlan::uniform("w2a2"), names).value().layers[1].precision ==
        Precision{2, 2});
  CHECK(PlanFile::of(PrecisionPlan::parse("w1a1,w2a2,w3a3").value(), names).error() ==
        "plan file: plan w1a1,w2a2,w3a3 has 3 entries, the network has 2 quantized layers");
}

TEST_CASE("errors name the line, what was expected and what was found") {
  CHECK(error_of("") ==
        "plan file: expected at least one layer after \"bitdial plan 1\", got 0 lines without one");
  CHECK(error_of("bitdial plan 2\n") ==
        "plan file: line 1: expected \"bitdial plan 1\", got \"bitdial plan 2\"");
  CHECK(error_of("bitdial plan 1\nconv1 w2a2\nconv2\n") ==
        "plan file: line 3: expected a layer and its precision, such as \"conv1 w2a4\", got "
        "\"conv2\"");
  CHECK(error_of("bitdial plan 1\n\n# a comment\nconv1 w2a9\n") ==
        "plan file: line 4: layer \"conv1\": expected a precision such as w2a4 (bits 1..8 or 32), "
        "got \"w2a9\"");
  CHECK(error_of("bitdial plan 1\nconv1 w2a2\nconv2 w2a2\nconv1 w4a4\n") ==
        "plan file: line 4: layer \"conv1\" has a line already, line 2");
  CHECK(error_of("bitdial plan 1\nspeed: 3\n") ==
        "plan file: line 2: expected network: or cost:, got \"speed: 3\"");
  CHECK(error_of("bitdial plan 1\ncost: 3\ncost: 4\n") ==
        "plan file: line 3: expected one line cost:, got \"cost: 4\"");
  CHECK(error_of("bitdial plan 1\nconv1 w2a2 w3a3\n")
            .starts_with("plan file: line 2: expected a layer and its precision"));
}

TEST_CASE("damaged text gives a value or an error, never anything else") {
  Random random(5, 0);
  std::size_t read = 0;
  for (int trial = 0; trial < 20000; ++trial) {
    std::string text = example;
    for (std::uint32_t edits = 1 + random.below(4); edits > 0; --edits) {
      const std::size_t at = random.below(static_cast<std::uint32_t>(text.size()));
      if (random.below(3) == 0) {
        text.erase(at, random.below(9));
      } else {
        text[at] = static_cast<char>(random.below(256));
      }
      if (text.empty()) break;
    }
    const auto file = PlanFile::parse(text);
    if (file) {
      ++read;
      for (const PlanFile::Entry& entry : file->layers) CHECK(entry.precision.valid());
    } else {
      CHECK(file.error().starts_with("plan file: "));
    }
  }
  CHECK(read > 100);
  CHECK(read < 19900);
}

TEST_CASE("a file on disk") {
  const std::string path = "plan_file_test.plan";
  const PlanFile file = PlanFile::parse(example).value();
  REQUIRE(write_plan_file(path, file));
  CHECK(read_plan_file(path).value() == file);
  PlanFile bad = file;
  bad.layers[0].layer = "two words";
  CHECK(write_plan_file(path, bad).error().starts_with(path + ": plan file: line 6: expected"));
  bad = file;
  bad.cost = "two  blanks";
  CHECK(write_plan_file(path, bad).error().find("choose another text") != std::string::npos);
  CHECK(read_plan_file(path).value() == file);  // as it was
  std::remove(path.c_str());
  CHECK(read_plan_file(path).error().starts_with(path + ": cannot open"));
}
