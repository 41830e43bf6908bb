// SeenPosition: the newest position that the answers of one run named.
//
// A later question asks for no older one, so that a run reads what it wrote and
// never sees the past again, whichever node answers. It works on any message:
// answers have a field `position`, or a `result` with one, and questions that
// can wait have `min_position`. One thread at a time.
#pragma once

#include <google/protobuf/message.h>

#include <memory>

#include "kafed/v1/types.pb.h"

namespace kafed::cli {

class SeenPosition {
 public:
  void Learn(const google::protobuf::Message& response);
  // A copy of the question, which names the position where it can and names
  // none itself.
  std::unique_ptr<google::protobuf::Message> Asking(
      const google::protobuf::Message& request) const;

 private:
  v1::Position seen_;
};

}  // namespace kafed::cli
