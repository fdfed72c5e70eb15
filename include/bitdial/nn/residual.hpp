// SPDX-License-Identifier: Apache-2.0
// Two paths from one input, added.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include <bitdial/autodiff/functions.hpp>
#include <bitdial/nn/sequential.hpp>

namespace bitdial::inline BITDIAL_ABI::nn {

/// y = body(x) + shortcut(x); an empty shortcut is the identity. Both must give equal shapes.
/// He et al., "Deep residual learning", 1512.03385.
class Residual final : public Module {
 public:
  explicit Residual(Sequential body, Sequential shortcut = {})
      : body_{std::move(body)}, shortcut_{std::move(shortcut)} {}

  [[nodiscard]] Var forward(Var x, const Pass& pass) override {
    const Var body = body_.forward(x, pass);  // first: the order of sums of gradients depends on it
    const Var shortcut = shortcut_.forward(x, pass);
    const Var y = ad::add(body, shortcut);
    discard_unless(body, {x});
    discard_unless(shortcut, {x});
    return y;
  }
  void visit(ModuleVisitor& visitor, const std::string& name) override {
    visitor.fork(name);
    body_.visit(visitor, name);
    visitor.branch();
    shortcut_.visit(visitor, child_name(name, "shortcut"));
    visitor.join();
  }
  [[nodiscard]] std::int32_t describe(Description& description, std::int32_t x) const override {
    const std::int32_t body = body_.describe(description, x);
    const std::int32_t shortcut = shortcut_.describe(description, x);
    return description.graph.append({.kind = ops::NodeKind::add, .inputs = {body, shortcut}});
  }

 private:
  Sequential body_;
  Sequential shortcut_;
};

}  // namespace bitdial::inline BITDIAL_ABI::nn
