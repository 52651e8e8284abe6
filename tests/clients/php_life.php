<?php
// An EC2 user with PHP's own SoapClient: types and order from the WSDL that the cloud serves, WS-Security by
// DOM's exclusive canonical form and OpenSSL. Runs an instance, describes it, reads its console, ends it.
// usage: EC2_PRIVATE_KEY=FILE EC2_CERT=FILE php php_life.php URL IMAGE
declare(strict_types=1);

const SOAP = 'http://schemas.xmlsoap.org/soap/envelope/';
const OASIS = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-';
const WSSE = OASIS . 'wssecurity-secext-1.0.xsd';
const WSU = OASIS . 'wssecurity-utility-1.0.xsd';
const DS = 'http://www.w3.org/2000/09/xmldsig#';
const C14N = 'http://www.w3.org/2001/10/xml-exc-c14n#';

final class SignedClient extends SoapClient
{
    /** Signs the Body and a Timestamp before the request leaves. */
    public function __doRequest(string $request, string $location, string $action, int $version, bool $oneWay = false): ?string
    {
        return parent::__doRequest(signed($request), $location, $action, $version, $oneWay);
    }
}

function signed(string $request): string
{
    $token = preg_replace('/-----[^-]+-----|\s/', '', file_get_contents(getenv('EC2_CERT')));
    $time = fn (int $at): string => gmdate('Y-m-d\TH:i:s\Z', $at);
    $security = '<wsse:Security xmlns:wsse="' . WSSE . '" xmlns:wsu="' . WSU . '">'
        . '<wsse:BinarySecurityToken EncodingType="' . OASIS . 'soap-message-security-1.0#Base64Binary" ValueType="'
        . OASIS . 'x509-token-profile-1.0#X509v3" wsu:Id="token">' . $token . '</wsse:BinarySecurityToken>'
        . '<wsu:Timestamp wsu:Id="time"><wsu:Created>' . $time(time()) . '</wsu:Created><wsu:Expires>' . $time(time() + 300)
        . '</wsu:Expires></wsu:Timestamp>%s</wsse:Security>';
    $with = fn (string $signature): string => preg_replace_callback(
        '/<([\w-]+):Body>/',
        fn (array $body): string => "<$body[1]:Header>" . sprintf($security, $signature) . "</$body[1]:Header>"
            . "<$body[1]:Body xmlns:wsu=\"" . WSU . '" wsu:Id="body">',
        $request,
        1
    );
    $references = '';
    foreach (['body' => [SOAP, 'Body'], 'time' => [WSU, 'Timestamp']] as $id => [$namespace, $name]) {
        $digest = base64_encode(hash('sha256', canonical($with(''), $namespace, $name), true));
        $references .= "<ds:Reference URI=\"#$id\"><ds:Transforms><ds:Transform Algorithm=\"" . C14N . '"/></ds:Transforms>'
            . '<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
            . "<ds:DigestValue>$digest</ds:DigestValue></ds:Reference>";
    }
    $signature = '<ds:Signature xmlns:ds="' . DS . '"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="' . C14N . '"/>'
        . '<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/>' . $references
        . '</ds:SignedInfo><ds:SignatureValue>%s</ds:SignatureValue><ds:KeyInfo><wsse:SecurityTokenReference>'
        . '<wsse:Reference URI="#token"/></wsse:SecurityTokenReference></ds:KeyInfo></ds:Signature>';
    $octets = canonical($with(sprintf($signature, '')), DS, 'SignedInfo');
    $key = openssl_pkey_get_private(file_get_contents(getenv('EC2_PRIVATE_KEY')));
    openssl_sign($octets, $value, $key, OPENSSL_ALGO_SHA256) or die("the key cannot sign\n");
    return $with(sprintf($signature, base64_encode($value)));
}

function canonical(string $document, string $namespace, string $name): string
{
    $dom = new DOMDocument();
    $dom->loadXML($document);
    return $dom->getElementsByTagNameNS($namespace, $name)->item(0)->C14N(true);
}

function expect(bool $holds, string $what): void
{
    if (!$holds) {
        fwrite(STDERR, "expected that $what\n");
        exit(1);
    }
}

/** One or several of a set, always as a list. */
function items(mixed $set): array
{
    $item = $set->item ?? [];
    return is_array($item) ? $item : [$item];
}

[, $url, $image] = $argv;
$ec2 = new SignedClient("$url?wsdl", ['cache_wsdl' => WSDL_CACHE_NONE, 'location' => $url]);

$ran = $ec2->RunInstances(['imageId' => $image, 'minCount' => 1, 'maxCount' => 1, 'groupSet' => [], 'instanceType' => 'm1.small']);
$instances = items($ran->instancesSet);
expect(count($instances) === 1 && $instances[0]->imageId === $image, 'one instance of the image is begun');
$id = $instances[0]->instanceId;
$ids = ['instancesSet' => ['item' => [['instanceId' => $id]]]];

$deadline = time() + 60;
do {
    usleep(200_000);
    $found = items(items($ec2->DescribeInstances($ids)->reservationSet)[0]->instancesSet)[0];
} while ($found->instanceState->name === 'pending' && time() < $deadline);
expect($found->instanceId === $id && $found->instanceState->name === 'running', "it runs (it is {$found->instanceState->name})");

$ec2->CreateTags(['resourcesSet' => ['item' => [['resourceId' => $id]]], 'tagSet' => ['item' => [['key' => 'Name', 'value' => 'ünïcode & <tags>']]]]);
$tags = items(items(items($ec2->DescribeInstances($ids)->reservationSet)[0]->instancesSet)[0]->tagSet);
expect(count($tags) === 1 && $tags[0]->value === 'ünïcode & <tags>', 'its tag is as it was given');
expect($ec2->GetConsoleOutput(['instanceId' => $id])->instanceId === $id, 'it has a console');
$ended = items($ec2->TerminateInstances($ids)->instancesSet);
expect($ended[0]->instanceId === $id && $ended[0]->currentState->name === 'shutting-down', 'it is shutting down');

try {
    $ec2->DescribeInstances(['instancesSet' => ['item' => [['instanceId' => 'i-00000000']]]]);
    expect(false, 'an instance that is not there is refused');
} catch (SoapFault $fault) {
    expect(str_ends_with($fault->faultcode, 'Client.InvalidInstanceID.NotFound'), "the fault is EC2's, not $fault->faultcode");
}
echo "ok $id\n";
