# SPDX-License-Identifier: Apache-2.0
# cmake -DINPUT=FILE -DOUTPUT=SOURCE -DSYMBOL=NAME -P write_array.cmake: a file as a C++ array.
file(READ "${INPUT}" digits HEX)
string(REGEX REPLACE "(................................)" "\\1\n" digits "${digits}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," digits "${digits}")
file(WRITE "${OUTPUT}" "// Written by write_array.cmake.
extern \"C\" {
extern const unsigned char ${SYMBOL}[];
extern const unsigned long ${SYMBOL}_size;
alignas(64) const unsigned char ${SYMBOL}[] = {
${digits}};
const unsigned long ${SYMBOL}_size = sizeof ${SYMBOL};
}
")
