/*
 * page_text.h - the script of the status page: page.js, put into page_text.c by make.
 */
#ifndef CONTROL_PAGE_TEXT_H
#define CONTROL_PAGE_TEXT_H

extern const char page_script[];

#endif
