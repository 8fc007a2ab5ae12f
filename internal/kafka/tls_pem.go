package kafka

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // PBKDF2's default in PKCS#5, for files that have it
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"regexp"
	"strings"
)

// pemBorder lets properties have PEM on one line: blanks where line ends should be.
var pemBorder = regexp.MustCompile(`-----(?:BEGIN|END) [A-Z0-9 ]+-----`)

func pemBlocks(data []byte) []*pem.Block {
	data = pemBorder.ReplaceAllFunc(data, func(border []byte) []byte { return append(append([]byte{'\n'}, border...), '\n') })
	var out []*pem.Block
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return out
		}
		out = append(out, block)
	}
}

func pemCertificates(data []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for _, block := range pemBlocks(data) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		out = append(out, cert)
	}
	return out, nil
}

func pemKeyPair(data []byte, password string) (*tls.Certificate, error) {
	certs, err := pemCertificates(data)
	if err != nil {
		return nil, err
	}
	for _, block := range pemBlocks(data) {
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			key, err := pemKey(block, password)
			if err != nil {
				return nil, err
			}
			return keyPair(key, certs)
		}
	}
	return nil, errors.New("holds no private key")
}

func pemKey(block *pem.Block, password string) (any, error) {
	switch block.Type {
	case "PRIVATE KEY":
		return x509.ParsePKCS8PrivateKey(block.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		der, err := decryptPKCS8(block.Bytes, password)
		if err != nil {
			return nil, err
		}
		return x509.ParsePKCS8PrivateKey(der)
	}
	if block.Headers["DEK-Info"] != "" {
		return nil, errors.New("its key is encrypted in OpenSSL's old way; convert it with: openssl pkcs8 -topk8")
	}
	if block.Type == "EC PRIVATE KEY" {
		return x509.ParseECPrivateKey(block.Bytes)
	}
	return x509.ParsePKCS1PrivateKey(block.Bytes)
}

// The parts of PKCS#5 v2 (RFC 8018) that occur: PBES2 of PBKDF2 and AES in CBC mode.
var (
	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}

	aesKeyBytes = map[string]int{"2.16.840.1.101.3.4.1.2": 16, "2.16.840.1.101.3.4.1.22": 24, "2.16.840.1.101.3.4.1.42": 32}
	prfs        = map[string]func() hash.Hash{
		"": sha1.New, "1.2.840.113549.2.7": sha1.New, "1.2.840.113549.2.9": sha256.New, "1.2.840.113549.2.10": sha512.New384,
		"1.2.840.113549.2.11": sha512.New,
	}
)

const maxIterations = 10_000_000 // a file that asks for more would stop the start for minutes

type encryptedKey struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

type pbes2 struct{ Derivation, Cipher pkix.AlgorithmIdentifier }

type pbkdf2Params struct {
	Salt       []byte
	Iterations int
	KeyBytes   int                      `asn1:"optional"`
	PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
}

var errKeyCipher = errors.New("its key is encrypted in a way that this program does not have; convert it with:" +
	" openssl pkcs8 -topk8 -v2 aes-256-cbc")

func decryptPKCS8(der []byte, password string) ([]byte, error) {
	if password == "" {
		return nil, errors.New("its key is encrypted and ssl.key.password is empty")
	}
	var outer encryptedKey
	var scheme pbes2
	if err := parseDER(der, &outer); err != nil {
		return nil, err
	}
	if !outer.Algorithm.Algorithm.Equal(oidPBES2) {
		return nil, errKeyCipher
	}
	if err := parseDER(outer.Algorithm.Parameters.FullBytes, &scheme); err != nil {
		return nil, err
	}
	key, err := deriveKey(scheme, password)
	if err != nil {
		return nil, err
	}
	var iv []byte
	if err := parseDER(scheme.Cipher.Parameters.FullBytes, &iv); err != nil {
		return nil, err
	}
	return decryptCBC(key, iv, outer.Data)
}

func deriveKey(scheme pbes2, password string) ([]byte, error) {
	var params pbkdf2Params
	if !scheme.Derivation.Algorithm.Equal(oidPBKDF2) {
		return nil, errKeyCipher
	}
	if err := parseDER(scheme.Derivation.Parameters.FullBytes, &params); err != nil {
		return nil, err
	}
	size, known := aesKeyBytes[scheme.Cipher.Algorithm.String()]
	prf, hashed := prfs[params.PRF.Algorithm.String()]
	if !known || !hashed || params.Iterations < 1 || params.Iterations > maxIterations {
		return nil, errKeyCipher
	}
	return pbkdf2.Key(prf, password, params.Salt, params.Iterations, size)
}

func decryptCBC(key, iv, data []byte) ([]byte, error) {
	if len(iv) != aes.BlockSize || len(data) == 0 || len(data)%aes.BlockSize != 0 {
		return nil, errors.New("its key is cut off")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	out := make([]byte, len(data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(out, data)
	padding := int(out[len(out)-1])
	if padding < 1 || padding > aes.BlockSize || !bytes.Equal(out[len(out)-padding:], bytes.Repeat([]byte{byte(padding)}, padding)) {
		return nil, errors.New("ssl.key.password is not the password of its key")
	}
	return out[:len(out)-padding], nil
}

func parseDER(der []byte, into any) error {
	rest, err := asn1.Unmarshal(der, into)
	if err == nil && len(rest) > 0 {
		err = errors.New("bytes are left over")
	}
	if err != nil {
		return fmt.Errorf("its key is malformed: %w", err)
	}
	return nil
}
