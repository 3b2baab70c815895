// A certificate for localhost and for the gateway of the laboratory, its key, and the authority that it is from, which nobody
// trusts. Made for tests, valid for a hundred years: openssl req -x509 for the authority, openssl x509 -req with
// subjectAltName=DNS:localhost,IP:203.0.113.6 and extendedKeyUsage=serverAuth for the certificate.

import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export const authority = `-----BEGIN CERTIFICATE-----
MIIBtDCCAVugAwIBAgIUC+Uy7iiAJe+Xm6Rl57z3wbtiEFYwCgYIKoZIzj0EAwIw
LzEtMCsGA1UEAwwkYW4gYXV0aG9yaXR5IG1hZGUgZm9yIHRoZSBsYWJvcmF0b3J5
MCAXDTI2MTEzMDAwMzcxNloYDzIxMjYxMTA2MDAzNzE2WjAvMS0wKwYDVQQDDCRh
biBhdXRob3JpdHkgbWFkZSBmb3IgdGhlIGxhYm9yYXRvcnkwWTATBgcqhkjOPQIB
BggqhkjOPQMBBwNCAAQsgbP11UBfMFRSL7X59ezbq8xNLsnEk023jHggKS2hW+nQ
cIFn6hkEDTyYGs7FQVMQ68jca6ILaaoTf0MXg/gho1MwUTAdBgNVHQ4EFgQUEX3Q
4upmy5KQqj96TVVXUgXkUjAwHwYDVR0jBBgwFoAUEX3Q4upmy5KQqj96TVVXUgXk
UjAwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiAuMfdbR9TKCEWy
iUIZBSRAKHj41u0Wp6LMj7QteOPrJQIgNGMiR8l8jOrbUdrWmkqqk+SJuONgvZAc
tQAPEKK84aA=
-----END CERTIFICATE-----
`

export const certified = {
  cert: `-----BEGIN CERTIFICATE-----
MIIBtzCCAV6gAwIBAgIUB7UnKmVDX9VlrwvVzpejXSPmzF8wCgYIKoZIzj0EAwIw
LzEtMCsGA1UEAwwkYW4gYXV0aG9yaXR5IG1hZGUgZm9yIHRoZSBsYWJvcmF0b3J5
MCAXDTI2MTEzMDAwMzcyMloYDzIxMjYxMTA2MDAzNzIyWjASMRAwDgYDVQQDDAdn
YXRld2F5MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEVVUWscX2SUvObcIut3XC
86AR1lb6Y557cg7Hfsx/CLAKgWn+iem0WJRN67QvTR8iYEmsi1tv/aIMu7mmvLoP
VaNzMHEwGgYDVR0RBBMwEYIJbG9jYWxob3N0hwTLAHEGMBMGA1UdJQQMMAoGCCsG
AQUFBwMBMB0GA1UdDgQWBBQKMUM5Dp+nZFe4y1r1swP/HznkPjAfBgNVHSMEGDAW
gBQRfdDi6mbLkpCqP3pNVVdSBeRSMDAKBggqhkjOPQQDAgNHADBEAiA4l+ZOYDF+
9MqhiDX78VYXyx8aASvEWJq4UrQ75j/12gIgcoznqpXpkQQesZdKgl1lll+xey+R
QJgG1G49MWiz3Ik=
-----END CERTIFICATE-----
`,
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgXLnowhegRvrSo62B
Fkj3CwM9H4uzIW6N7Pfwbrvb1CmhRANCAARVVRaxxfZJS85twi63dcLzoBHWVvpj
nntyDsd+zH8IsAqBaf6J6bRYlE3rtC9NHyJgSayLW2/9ogy7uaa8ug9V
-----END PRIVATE KEY-----
`
}

/** Certificate and key as files, and the `listen.tls` that names them. */
export async function tlsFiles(): Promise<{ readonly yaml: string } & AsyncDisposable> {
  const folder = await mkdtempDisposable(join(tmpdir(), 'postern-tls-'))
  const [cert, key] = [join(folder.path, 'cert.pem'), join(folder.path, 'key.pem')]
  await Promise.all([writeFile(cert, certified.cert), writeFile(key, certified.key)])
  return { yaml: `{ cert: ${cert}, key: ${key} }`, [Symbol.asyncDispose]: () => folder.remove() }
}
