// SPDX-License-Identifier: Apache-2.0
// Modules one after another.
#pragma once

#include <concepts>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <bitdial/nn/module.hpp>

namespace bitdial::inline BITDIAL_ABI::nn {

/// y = f_n(... f_1(x)). Without modules it is the identity.
///
/// ```
/// Sequential net;
/// net.add("conv", std::make_unique<Conv2d>(options)).add("relu", std::make_unique<Relu>());
/// ```
class Sequential final : public Module {
 public:
  /// Appends a module under a name that is unique here; throws `ConfigError` otherwise.
  Sequential& add(std::string name, ModulePtr module) {
    if (module == nullptr) throw ConfigError(concat("sequential: module '", name, "' is null"));
    for (const auto& [taken, other] : children_) {
      if (taken == name) throw ConfigError(concat("sequential: the name '", name, "' is taken"));
    }
    children_.emplace_back(std::move(name), std::move(module));
    return *this;
  }

  /// Appends a module of type `M`, built from `arguments`; what its constructor throws about them
  /// is thrown with the name.
  template <std::derived_from<Module> M, class... Arguments>
  Sequential& add(std::string name, Arguments&&... arguments) {
    ModulePtr module;
    try {
      module = std::make_unique<M>(std::forward<Arguments>(arguments)...);
    } catch (const ConfigError& error) {
      throw ConfigError(concat("module '", name, "': ", error.what()));
    } catch (const PrecisionError& error) {
      throw PrecisionError(concat("module '", name, "': ", error.what()));
    }
    return add(std::move(name), std::move(module));
  }

  [[nodiscard]] Var forward(Var x, const Pass& pass) override {
    Var y = x;
    for (auto& [name, module] : children_) {
      const Var input = std::exchange(y, module->forward(y, pass));
      discard_unless(input, {x, y});
    }
    return y;
  }
  void visit(ModuleVisitor& visitor, const std::string& name) override {
    for (auto& [child, module] : children_) module->visit(visitor, child_name(name, child));
  }
  [[nodiscard]] std::int32_t describe(Description& description, std::int32_t x) const override {
    for (const auto& [name, module] : children_) x = module->describe(description, x);
    return x;
  }

 private:
  std::vector<std::pair<std::string, ModulePtr>> children_;
};

}  // namespace bitdial::inline BITDIAL_ABI::nn
