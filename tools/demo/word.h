/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DEMO_WORD_H
#define DEMO_WORD_H

/* Write a word to a file of the kernel's; returns 0 or a negative errno. */
int write_word(const char *path, const char *word);

#endif
