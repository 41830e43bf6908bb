// LBMRC: locality-based maximum residual capacity.
//
// Candidates in the wanted locality come first; among them the one with the
// largest residual capacity. The residual of a service is (quota - used) /
// cost, in requests; an instance's residual is the sum over its services
// weighted by how often each is called. Source: Alcor's design of VPC-to-
// instance assignment; docs/decisions/0004-lbmrc.md says how it is used for
// sub-clusters too.
//
// Pure and deterministic: ties go to the earlier candidate.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace kafed::federation {

struct ServiceLoad {
  double quota = 0;
  double used = 0;
  double cost = 1;       // of the bottleneck, for one request
  double frequency = 1;  // calls relative to the other services
};

// Above this share of a quota an instance is overloaded and gives work away;
// it takes work back only below the lower one.
inline constexpr double kOverloadedShare = 0.9;
inline constexpr double kRelaxedShare = 0.7;

double Residual(std::span<const ServiceLoad> services);
// Largest used / quota over the services.
double Utilization(std::span<const ServiceLoad> services);

struct LbmrcCandidate {
  bool local = false;    // in the wanted locality
  bool eligible = true;  // has room at all
  double residual = 0;
};

// Index of the choice; nullopt if none is eligible.
std::optional<size_t> ChooseLbmrc(std::span<const LbmrcCandidate> candidates);

}  // namespace kafed::federation
