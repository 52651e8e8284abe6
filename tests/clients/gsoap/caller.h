// What the gSOAP clients share: one signed call, and an answer that is believed or refused. Knows no
// operation; each client includes it after the declarations that were made from its own WSDL.
#pragma once

#include <openssl/pem.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <type_traits>

#include "soapH.h"
#include "wsaapi.h"
#include "wsseapi.h"

// Stops the program, saying what does not hold.
[[noreturn]] inline void fail(const std::string &problem) {
    std::fprintf(stderr, "%s\n", problem.c_str());
    std::exit(1);
}

inline void expect(bool holds, const std::string &what) {
    if (!holds) fail("expected: " + what);
}

inline FILE *opened(const char *path) {
    FILE *file = std::fopen(path, "r");
    if (!file) fail(std::string(path) + " cannot be read");
    return file;
}

inline X509 *certificate(const char *path) {
    FILE *file = opened(path);
    X509 *read = PEM_read_X509(file, nullptr, nullptr, nullptr);
    std::fclose(file);
    if (!read) fail(std::string(path) + " holds no certificate");
    return read;
}

inline EVP_PKEY *private_key(const char *path) {
    FILE *file = opened(path);
    EVP_PKEY *read = PEM_read_PrivateKey(file, nullptr, nullptr, nullptr);
    std::fclose(file);
    if (!read) fail(std::string(path) + " holds no private key");
    return read;
}

// Who calls, where, and how its messages are signed: Body, Timestamp and token.
class Caller {
public:
    Caller(const char *url, const char *key, const char *cert)
        : url_(url), key_(private_key(key)), certificate_(certificate(cert)) {
        // Canonical as it is sent, so that what is digested needs no transformation.
        soap_ = soap_new1(SOAP_XML_CANONICAL);
        soap_->connect_timeout = soap_->send_timeout = 10;
        soap_->recv_timeout = 60;
        soap_set_namespaces(soap_, namespaces);
        soap_register_plugin(soap_, soap_wsse);
    }

    virtual ~Caller() = default;

    // gSOAP's SOAP_SMD_SIGN_..., for the next calls.
    void algorithm(int algorithm) { algorithm_ = algorithm; }

    // Calls `operation`; ends the program if there is no answer, or none to be believed. The answer
    // is in `response`.
    template <class Request, class Response>
    void call(int (*stub)(soap *, const char *, const char *, Request *, Response &), const std::string &operation,
              std::common_type_t<Request> &request, std::common_type_t<Response> &response) {
        // The last answer's header is not the next request's.
        soap_->header = nullptr;
        prepare(operation);
        require(soap_wsse_add_Timestamp(soap_, "Time", 300), operation);
        require(soap_wsse_add_BinarySecurityTokenX509(soap_, "X509Token", certificate_), operation);
        require(soap_wsse_add_KeyInfo_SecurityTokenReferenceX509(soap_, "#X509Token"), operation);
        require(soap_wsse_sign_body(soap_, algorithm_, key_, 0), operation);
        require(stub(soap_, url_, nullptr, &request, response), operation);
        // What this message had signed is not the next one's to sign.
        soap_->omode &= ~SOAP_SEC_WSUID;
        believe(operation);
    }

    // A pointer for gSOAP's optional fields.
    std::string *text(const std::string &value) {
        std::string *made = soap_new_std__string(soap_);
        *made = value;
        return made;
    }

protected:
    // Further headers before the message is signed.
    virtual void prepare(const std::string &) {}
    // Whether the answer, which has arrived, is to be believed. EC2 does not sign its answers.
    virtual void believe(const std::string &) {}

    void require(int error, const std::string &operation) {
        if (error == SOAP_OK) return;
        std::fprintf(stderr, "%s:\n", operation.c_str());
        soap_print_fault(soap_, stderr);
        std::exit(1);
    }

    soap *soap_;
    const char *url_;

private:
    EVP_PKEY *key_;
    X509 *certificate_;
    int algorithm_ = SOAP_SMD_SIGN_RSA_SHA256;
};

// The profile `strict`: WS-Addressing is signed too, and the answer must be signed, by the peer's
// certificate, over everything that is used, and relate to our message.
class StrictCaller : public Caller {
public:
    // `prefix` makes the Action of an operation, as in "EucalyptusNC#".
    StrictCaller(const char *url, const char *key, const char *cert, const char *peer, const char *prefix)
        : Caller(url, key, cert), prefix_(prefix) {
        soap_register_plugin(soap_, soap_wsa);
        // The only certificate that the plugin accepts in an answer.
        soap_->cafile = peer;
    }

protected:
    void prepare(const std::string &operation) override {
        message_ = soap_wsa_rand_uuid(soap_);
        require(soap_wsa_request(soap_, message_.c_str(), url_, (prefix_ + operation).c_str()), operation);
        require(soap_wsse_set_wsu_id(soap_, "wsa5:To wsa5:Action wsa5:MessageID"), operation);
        // Keeps the answer as it is written, for believe(): a fault, which may be unsigned, is read first.
        require(soap_wsse_verify_init(soap_), operation);
    }

    void believe(const std::string &operation) override {
        require(soap_wsse_verify_Signature(soap_), operation);
        require(soap_wsse_verify_Timestamp(soap_), operation);
        require(soap_wsse_verify_body(soap_), operation);
        signed_once(SOAP_NAMESPACE_OF_wsu, "Timestamp", operation);
        signed_once(SOAP_NAMESPACE_OF_wsa5, "RelatesTo", operation);
        const char *relates_to = soap_wsa_RelatesTo(soap_);
        expect(relates_to && message_ == relates_to, operation + "'s answer relates to " + message_);
    }

private:
    void signed_once(const char *space, const char *name, const std::string &operation) {
        expect(soap_wsse_verify_element(soap_, space, name) == 1, operation + "'s answer has one signed " + name);
    }

    std::string prefix_;
    std::string message_;
};
