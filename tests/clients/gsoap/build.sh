#!/usr/bin/env bash
# build.sh - makes a gSOAP client from the WSDL that a running service serves.
#
# usage: build.sh nc|cc|ec2 SERVICE-URL DIRECTORY
# The program is DIRECTORY/NAME/client. It is compiled anew, in about 15 s, only if the contract,
# our sources or gSOAP changed. Two of these at once wait for each other.
set -euo pipefail
export LC_ALL=C

name=$1 url=$2 out=$3/$1
sources=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
plugin=${GSOAP_PLUGIN:-/usr/share/gsoap/plugin}
import=${GSOAP_IMPORT:-/usr/share/gsoap/import}
read -ra libraries <<<"$(pkg-config --cflags --libs gsoapssl++) -lssl -lcrypto"

mkdir -p "$out"
exec 9>"$out/lock"
flock 9
cd "$out"

# Without SAML, which is two thirds of what would be compiled; wsse.h says that these lines may go.
sed '/#import "saml[12].h"/d' "$import/wsse.h" >wsse.h
sed '/^const char \*saml[12]_URI/d' "$plugin/wsseapi.cpp" >wsseapi.cpp
# What is served, as C++ declarations; without the date and the port, which change every time.
wsdl2h -O4 -L -o served.h "$url?wsdl" >wsdl2h.log 2>&1 || { cat wsdl2h.log >&2; exit 1; }
{
    echo '#import "wsa5.h"'
    echo '#import "wsse.h"'
    sed -e '3,4d' -e 's,http://[^/ ]*:[0-9]*/,http://service/,' served.h
} >service.h
stamp=$(cat service.h "$sources/build.sh" "$sources/caller.h" "$sources/$name.cpp" wsse.h wsseapi.cpp | sha256sum)
if [ -x client ] && [ "$(cat stamp 2>/dev/null)" = "$stamp" ]; then exit 0; fi

rm -f client ./*.o
# -s: an answer that is not valid by the schema is an error.
soapcpp2 -C -L -s -w -x -I".:$import" service.h >soapcpp2.log 2>&1 || { cat soapcpp2.log >&2; exit 1; }
parts=(soapC.cpp soapClient.cpp wsseapi.cpp "$sources/$name.cpp" "$plugin"/{wsaapi.c,smdevp.c,mecevp.c,threads.c})
jobs=()
for part in "${parts[@]}"; do
    g++ -x c++ -O0 -w -c -I. -I"$plugin" "${libraries[@]}" "$part" &
    jobs+=($!)
done
for job in "${jobs[@]}"; do wait "$job"; done
g++ -o client ./*.o "${libraries[@]}"
echo "$stamp" >stamp
