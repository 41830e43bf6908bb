// Node: the composition root. Makes all parts of a kafed process, in order,
// and takes them down in reverse.
//
//   Store -> VirtualLog -> recover -> Replica -> Writer -> LeaseTable
//     -> Coordinator -> services -> gRPC and HTTP -> "listening on ..."
//
// main.cc only parses flags and waits for a signal; tests make nodes directly.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "controller/server/config.h"

namespace kafed::controller {

class Node {
 public:
  // Recovers and serves. The status names what is wrong: directory in use,
  // damaged or newer data, an address that is taken.
  static absl::StatusOr<std::unique_ptr<Node>> Start(
      const Config& config, const Clock& clock = RealClock());
  // Stops as Stop() does.
  ~Node();

  // Ends calls (those under way get a few seconds), saves a snapshot, closes.
  void Stop();

  // HOST:PORT with the port in use.
  const std::string& address() const;
  // Empty: not served.
  const std::string& http_address() const;

 private:
  struct Parts;
  explicit Node(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace kafed::controller
