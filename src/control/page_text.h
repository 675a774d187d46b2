/*
 * page_text.h - style and script of the status page: page.css and page.js, put into page_text.c by make.
 */
#ifndef CONTROL_PAGE_TEXT_H
#define CONTROL_PAGE_TEXT_H

extern const char page_style[], page_script[];

#endif
