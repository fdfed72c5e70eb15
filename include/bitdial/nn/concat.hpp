// SPDX-License-Identifier: Apache-2.0
// Several paths from one input, their channels side by side.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <bitdial/autodiff/concat.hpp>
#include <bitdial/nn/sequential.hpp>

namespace bitdial::inline BITDIAL_ABI::nn {

/// y = [branch_1(x), branch_2(x), ...]: all branches read x, and their channels follow each other.
/// Branches must agree in all but their channels; an empty branch is x itself.
///
/// ```
/// Concat branches;
/// branches.add("conv", std::move(conv)).add("pool", std::move(pool));
/// net.add<Concat>("mixed", std::move(branches));
/// ```
/// Szegedy et al., "Going deeper with convolutions", 1409.4842.
class Concat final : public Module {
 public:
  /// Appends a branch under a name that is unique here; throws `ConfigError` otherwise.
  Concat& add(std::string name, Sequential branch) {
    for (const auto& [taken, other] : branches_) {
      if (taken == name) throw ConfigError(concat("concat: the name '", name, "' is taken"));
    }
    branches_.emplace_back(std::move(name), std::move(branch));
    return *this;
  }

  /// Throws `ConfigError` without branches and `ShapeError` for branches that do not fit.
  [[nodiscard]] Var forward(Var x, const Pass& pass) override {
    std::vector<Var> parts;
    for (auto& [name, branch] : branches_) parts.push_back(branch.forward(x, pass));
    const Var y = ad::concat_channels<float>(parts);
    for (const Var& part : parts) discard_unless(part, {x});
    return y;
  }
  void visit(ModuleVisitor& visitor, const std::string& name) override {
    visitor.fork(name);
    for (auto branch = branches_.begin(); branch != branches_.end(); ++branch) {
      if (branch != branches_.begin()) visitor.branch();
      branch->second.visit(visitor, child_name(name, branch->first));
    }
    visitor.join();
  }
  /// Throws `ConfigError` without branches.
  [[nodiscard]] std::int32_t describe(Description& description, std::int32_t x) const override {
    if (branches_.empty()) throw ConfigError("concat: at least one branch is needed");
    std::vector<std::int32_t> parts;
    for (const auto& [name, branch] : branches_) parts.push_back(branch.describe(description, x));
    std::int32_t y = parts.front();
    for (auto part = parts.begin() + 1; part != parts.end(); ++part) {
      y = description.graph.append({.kind = ops::NodeKind::concat, .inputs = {y, *part}});
    }
    return y;
  }

 private:
  std::vector<std::pair<std::string, Sequential>> branches_;
};

}  // namespace bitdial::inline BITDIAL_ABI::nn
