#!/bin/sh
# Makes the stores of this folder anew: one authority, a server certificate for localhost and a client certificate, in every form
# that a Java client takes. They guard nothing. Needs openssl and a JDK's keytool. Every password is "changeit"; the key in
# server-keypass.jks has "keypass" of its own.
set -eu
cd "$(dirname "$0")"
rm -f ./*.pem ./*.jks ./*.p12
days=36500

openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days $days -subj "/CN=test authority" \
  -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign" 2>/dev/null

leaf() { # name, algorithm, extensions
  openssl req -newkey "$2" ${4:-} ${5:-} -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$1" 2>/dev/null
  printf '%s\n' "$3" > ext
  openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days $days -extfile ext -out "$1.crt" 2>/dev/null
  rm -f "$1.csr" ext
}
leaf server rsa:2048 "subjectAltName=DNS:localhost,IP:127.0.0.1"
leaf client ec "extendedKeyUsage=clientAuth" -pkeyopt ec_paramgen_curve:P-256

for who in server client; do
  cat $who.key $who.crt ca.pem > $who.pem
  openssl pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA256 -in $who.key -passout pass:changeit | cat - $who.crt ca.pem > $who-encrypted.pem
  openssl pkcs12 -export -inkey $who.key -in $who.crt -certfile ca.pem -name $who -passout pass:changeit -out $who.p12
  keytool -importkeystore -noprompt -srckeystore $who.p12 -srcstoretype PKCS12 -srcstorepass changeit \
    -destkeystore $who.jks -deststoretype JKS -deststorepass changeit 2>/dev/null
done
keytool -importkeystore -noprompt -srckeystore server.p12 -srcstoretype PKCS12 -srcstorepass changeit -srcalias server \
  -destkeystore server-keypass.jks -deststoretype JKS -deststorepass changeit -destkeypass keypass 2>/dev/null
keytool -importkeystore -noprompt -srckeystore client.p12 -srcstoretype PKCS12 -srcstorepass changeit \
  -destkeystore client-keytool.p12 -deststoretype PKCS12 -deststorepass changeit 2>/dev/null
for type in JKS PKCS12; do
  keytool -importcert -noprompt -alias ca -file ca.pem -keystore trust.$type -storetype $type -storepass changeit 2>/dev/null
done
mv trust.JKS trust.jks
mv trust.PKCS12 trust.p12
rm -f ./*.key ./*.crt ./*.srl
