#include "controller/rpc/fingerprint.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <xxhash.h>

#include <memory>
#include <string>
#include <string_view>

namespace kafed::controller {
namespace {

class Hash {
 public:
  Hash() { XXH3_64bits_reset(state_.get()); }
  void Add(std::string_view bytes) {
    XXH3_64bits_update(state_.get(), bytes.data(), bytes.size());
  }
  void Add(const google::protobuf::Message& message) {
    std::string bytes;
    {
      google::protobuf::io::StringOutputStream stream(&bytes);
      google::protobuf::io::CodedOutputStream coded(&stream);
      coded.SetSerializationDeterministic(true);  // maps in one order
      message.SerializeToCodedStream(&coded);
    }
    Add(bytes);
  }
  uint64_t value() const {
    const uint64_t hash = XXH3_64bits_digest(state_.get());
    return hash == 0 ? 1 : hash;
  }

 private:
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> state_{XXH3_createState()};
};

}  // namespace

uint64_t Fingerprint(const google::protobuf::Message& request) {
  const std::unique_ptr<google::protobuf::Message> copy(request.New());
  copy->CopyFrom(request);
  const auto* options = copy->GetDescriptor()->FindFieldByName("options");
  if (options != nullptr)
    copy->GetReflection()->ClearField(copy.get(), options);
  Hash hash;
  hash.Add(copy->GetDescriptor()->full_name());
  hash.Add(*copy);
  return hash.value();
}

uint64_t Fingerprint(std::span<const v1::HostSpec> hosts) {
  Hash hash;
  for (const v1::HostSpec& host : hosts) hash.Add(host);
  return hash.value();
}

}  // namespace kafed::controller
