// Boost.JSON, compiled once, for every room that parses JSON.
#include <boost/json/src.hpp>
