// What an LSTM, GRU or RNN node asks for, checked.
#pragma once

#include "engine/cpu/recurrent.h"

namespace lanewise {

RecurrentSpec recurrent_spec(const OpContext& c);

}  // namespace lanewise
