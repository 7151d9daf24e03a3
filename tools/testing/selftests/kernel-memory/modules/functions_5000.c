// SPDX-License-Identifier: GPL-2.0-only
#define FUNCTIONS 5000
#include "functions.h"
