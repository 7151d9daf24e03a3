// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module that calls a function and reads data of another module.
 */
#include <linux/module.h>

#include "common.h"
#include "module_features.h"

static int module_features_user_answer(void)
{
	return module_features_add(module_features_exported[0], module_features_exported[1]);
}

module_param_cb(answer, &answer_ops, module_features_user_answer, 0444);
MODULE_PARM_DESC(answer, "Computed by the other module's text from its data");

MODULE_DESCRIPTION("A module that uses what another one exports");
MODULE_LICENSE("GPL");
