// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/quant/precision.hpp>
#include <bitdial/switchable/state_bank.hpp>
#include <support/tensors.hpp>

using namespace bitdial;

namespace {

using Bank = StateBank<Precision, std::vector<int>>;

}  // namespace

TEST_CASE("the first key gets the initial state, later keys a copy of the first") {
  Bank bank;
  bank.add({8, 8}, {1, 2}).push_back(3);
  CHECK(bank.add({4, 4}, {9}) == std::vector<int>{1, 2, 3});
  bank.at({4, 4}).push_back(4);
  bank.add({2, 2}, {9});  // of the first, not of the latest
  CHECK(bank.at({2, 2}) == std::vector<int>{1, 2, 3});
}

TEST_CASE("states are independent and keep their addresses") {
  Bank bank;
  std::vector<int>* const first = &bank.add({8, 8}, {1});
  for (int bits = 1; bits < 8; ++bits) bank.add({bits, bits}, {});
  bank.at({4, 4})[0] = 7;
  CHECK(&bank.at({8, 8}) == first);
  CHECK(*first == std::vector<int>{1});
  CHECK(bank.at({3, 3})[0] == 1);
  CHECK(bank.at({4, 4})[0] == 7);
}

TEST_CASE("a known key keeps its state") {
  Bank bank;
  bank.add({8, 8}, {1});
  bank.add({4, 4}, {})[0] = 5;
  CHECK(bank.add({4, 4}, {9}) == std::vector<int>{5});
  CHECK(bank.size() == 2);
}

TEST_CASE("entries are visited in the order of addition") {
  Bank bank;
  bank.add({2, 2}, {});
  bank.add({8, 8}, {});
  std::string order;
  for (const auto& [key, state] : bank) order += key.text() + " ";
  CHECK(order == "w2a2 w8a8 ");
  CHECK(bank.contains({8, 8}));
  CHECK_FALSE(bank.contains({8, 2}));
}

TEST_CASE("an unknown key is refused with the keys that are there") {
  Bank bank;
  CHECK(test::error_text<PrecisionError>([&] {
          static_cast<void>(bank.at({4, 4}));
        }) ==
        "switchable layer: no private state for w4a4; it has none; call add_plans (or "
        "add_mixtures) before training");
  bank.add({8, 8}, {});
  bank.add({2, 4}, {});
  CHECK(test::error_text<PrecisionError>([&] {
          static_cast<void>(bank.at({4, 4}));
        }) ==
        "switchable layer: no private state for w4a4; it has w8a8, w2a4; call add_plans (or "
        "add_mixtures) before training");
}
