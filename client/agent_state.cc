#include "client/agent_state.h"

#include <fstream>
#include <iterator>
#include <string_view>

#include "common/new_file.h"
#include "common/row_codec.h"

namespace kafed::client {
namespace {
constexpr std::string_view kMagic = "kafedag1";
}  // namespace

absl::Status SaveAgentState(const AgentState& state, const std::string& path) {
  return ReplaceFile(path, std::string(kMagic) + EncodeRow(state));
}

absl::StatusOr<AgentState> LoadAgentState(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError("no file '" + path + "'");
  const std::string bytes((std::istreambuf_iterator<char>(file)),
                          std::istreambuf_iterator<char>());
  AgentState state;
  if (!bytes.starts_with(kMagic) ||
      !TryDecodeRow(std::string_view(bytes).substr(kMagic.size()), &state)) {
    return absl::DataLossError("'" + path +
                               "' is not an agent's state of this version");
  }
  return state;
}

}  // namespace kafed::client
