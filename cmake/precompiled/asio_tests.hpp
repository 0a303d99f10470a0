// What tests of files on the loop include.
#pragma once

#include "asio.hpp"
#include "tests.hpp"
