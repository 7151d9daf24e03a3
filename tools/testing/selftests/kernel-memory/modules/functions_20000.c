// SPDX-License-Identifier: GPL-2.0-only
#define FUNCTIONS 20000
#include "functions.h"
