"""The functions that expressions may call, with their signatures.

One line a function: its name, then overloads as `id(parameters)result`, a leading dot for members.
Capital letters stand for any type.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from kaito.local.apiserver.cel.types import PLAIN, Type

FUNCTIONS = """
_?_:_ conditional(bool,A,A)A
_&&_ logical_and(bool,bool)bool
_||_ logical_or(bool,bool)bool
!_ logical_not(bool)bool
@not_strictly_false not_strictly_false(bool)bool
_==_ equals(A,A)bool
_!=_ not_equals(A,A)bool
_+_ add_bytes(bytes,bytes)bytes add_double(double,double)double \
 add_duration_duration(duration,duration)duration \
 add_duration_timestamp(duration,timestamp)timestamp \
 add_timestamp_duration(timestamp,duration)timestamp add_int64(int,int)int \
 add_list(list(A),list(A))list(A) add_string(string,string)string add_uint64(uint,uint)uint
_/_ divide_double(double,double)double divide_int64(int,int)int divide_uint64(uint,uint)uint
_%_ modulo_int64(int,int)int modulo_uint64(uint,uint)uint
_*_ multiply_double(double,double)double multiply_int64(int,int)int multiply_uint64(uint,uint)uint
-_ negate_double(double)double negate_int64(int)int
_-_ subtract_double(double,double)double subtract_duration_duration(duration,duration)duration \
 subtract_int64(int,int)int subtract_timestamp_duration(timestamp,duration)timestamp \
 subtract_timestamp_timestamp(timestamp,timestamp)duration subtract_uint64(uint,uint)uint
_[_] index_list(list(A),int)A index_map(map(A,B),A)B \
 optional_list_index_int(optional_type(list(V)),int)optional_type(V) \
 optional_map_index_value(optional_type(map(K,V)),K)optional_type(V)
_[?_] list_optindex_optional_int(list(V),int)optional_type(V) \
 optional_list_optindex_optional_int(optional_type(list(V)),int)optional_type(V) \
 map_optindex_optional_value(map(K,V),K)optional_type(V) \
 optional_map_optindex_optional_value(optional_type(map(K,V)),K)optional_type(V)
@in in_list(A,list(A))bool in_map(A,map(A,B))bool
size size_bytes(bytes)int .bytes_size(bytes)int size_list(list(A))int .list_size(list(A))int \
 size_map(map(A,B))int .map_size(map(A,B))int size_string(string)int .string_size(string)int
type type(A)type(A)
bool bool_to_bool(bool)bool string_to_bool(string)bool
bytes bytes_to_bytes(bytes)bytes string_to_bytes(string)bytes
double double_to_double(double)double int64_to_double(int)double string_to_double(string)double \
 uint64_to_double(uint)double
duration duration_to_duration(duration)duration int64_to_duration(int)duration \
 string_to_duration(string)duration
dyn to_dyn(A)dyn
int int64_to_int64(int)int double_to_int64(double)int duration_to_int64(duration)int \
 string_to_int64(string)int timestamp_to_int64(timestamp)int uint64_to_int64(uint)int
string string_to_string(string)string bool_to_string(bool)string bytes_to_string(bytes)string \
 double_to_string(double)string duration_to_string(duration)string int64_to_string(int)string \
 timestamp_to_string(timestamp)string uint64_to_string(uint)string ip_to_string(net.IP)string \
 cidr_to_string(net.CIDR)string
timestamp timestamp_to_timestamp(timestamp)timestamp int64_to_timestamp(int)timestamp \
 string_to_timestamp(string)timestamp
uint uint64_to_uint64(uint)uint double_to_uint64(double)uint int64_to_uint64(int)uint \
 string_to_uint64(string)uint
contains .contains_string(string,string)bool
endsWith .ends_with_string(string,string)bool
startsWith .starts_with_string(string,string)bool
matches matches(string,string)bool .matches_string(string,string)bool
getFullYear .timestamp_to_year(timestamp)int .timestamp_to_year_with_tz(timestamp,string)int
getMonth .timestamp_to_month(timestamp)int .timestamp_to_month_with_tz(timestamp,string)int
getDayOfYear .timestamp_to_day_of_year(timestamp)int \
 .timestamp_to_day_of_year_with_tz(timestamp,string)int
getDayOfMonth .timestamp_to_day_of_month(timestamp)int \
 .timestamp_to_day_of_month_with_tz(timestamp,string)int
getDate .timestamp_to_day_of_month_1_based(timestamp)int \
 .timestamp_to_day_of_month_1_based_with_tz(timestamp,string)int
getDayOfWeek .timestamp_to_day_of_week(timestamp)int \
 .timestamp_to_day_of_week_with_tz(timestamp,string)int
getHours .timestamp_to_hours(timestamp)int .timestamp_to_hours_with_tz(timestamp,string)int \
 .duration_to_hours(duration)int
getMinutes .timestamp_to_minutes(timestamp)int .timestamp_to_minutes_with_tz(timestamp,string)int \
 .duration_to_minutes(duration)int
getSeconds .timestamp_to_seconds(timestamp)int .timestamp_to_seconds_tz(timestamp,string)int \
 .duration_to_seconds(duration)int
getMilliseconds .timestamp_to_milliseconds(timestamp)int \
 .timestamp_to_milliseconds_with_tz(timestamp,string)int .duration_to_milliseconds(duration)int
optional.of optional_of(V)optional_type(V)
optional.ofNonZeroValue optional_ofNonZeroValue(V)optional_type(V)
optional.none optional_none()optional_type(V)
optional.unwrap optional_unwrap(list(optional_type(V)))list(V)
unwrapOpt .optional_unwrapOpt(list(optional_type(V)))list(V)
value .optional_value(optional_type(V))V
hasValue .optional_hasValue(optional_type(V))bool
or .optional_or_optional(optional_type(V),optional_type(V))optional_type(V)
orValue .optional_orValue_value(optional_type(V),V)V
first .list_first(list(V))optional_type(V)
last .list_last(list(V))optional_type(V)
charAt .string_char_at_int(string,int)string
indexOf .string_index_of_string(string,string)int \
 .string_index_of_string_int(string,string,int)int \
 .list_a_index_of_int(list(A),A)int
lastIndexOf .string_last_index_of_string(string,string)int \
 .string_last_index_of_string_int(string,string,int)int .list_a_last_index_of_int(list(A),A)int
lowerAscii .string_lower_ascii(string)string
upperAscii .string_upper_ascii(string)string
replace .string_replace_string_string(string,string,string)string \
 .string_replace_string_string_int(string,string,string,int)string
split .string_split_string(string,string)list(string) \
 .string_split_string_int(string,string,int)list(string)
substring .string_substring_int(string,int)string .string_substring_int_int(string,int,int)string
trim .string_trim(string)string
format .string_format(string,list(dyn))string
strings.quote strings_quote(string)string
join .list_join(list(string))string .list_join_string(list(string),string)string
find .string_find_string(string,string)string
findAll .string_find_all_string(string,string)list(string) \
 .string_find_all_string_int(string,string,int)list(string)
slice .list_slice(list(T),int,int)list(T)
flatten .list_flatten(list(list(T)))list(T) .list_flatten_int(list(dyn),int)list(dyn)
reverse .list_reverse(list(T))list(T)
distinct .list_distinct(list(T))list(T)
lists.range lists_range(int)list(int)
sets.contains list_sets_contains_list(list(T),list(T))bool
sets.equivalent list_sets_equivalent_list(list(T),list(T))bool
sets.intersects list_sets_intersects_list(list(T),list(T))bool
cel.@mapInsert @mapInsert_map_key_value(map(K,V),K,V)map(K,V) \
 @mapInsert_map_map(map(K,V),map(K,V))map(K,V)
url string_to_url(string)kubernetes.URL
isURL is_url_string(string)bool
getScheme .url_get_scheme(kubernetes.URL)string
getHost .url_get_host(kubernetes.URL)string
getHostname .url_get_hostname(kubernetes.URL)string
getPort .url_get_port(kubernetes.URL)string
getEscapedPath .url_get_escaped_path(kubernetes.URL)string
getQuery .url_get_query(kubernetes.URL)map(string,list(string))
ip string_to_ip(string)net.IP .cidr_ip(net.CIDR)net.IP
isIP is_ip(string)bool
ip.isCanonical ip_is_canonical(string)bool
family .ip_family(net.IP)int
isUnspecified .ip_is_unspecified(net.IP)bool
isLoopback .ip_is_loopback(net.IP)bool
isLinkLocalMulticast .ip_is_link_local_multicast(net.IP)bool
isLinkLocalUnicast .ip_is_link_local_unicast(net.IP)bool
isGlobalUnicast .ip_is_global_unicast(net.IP)bool
cidr string_to_cidr(string)net.CIDR
isCIDR is_cidr(string)bool
containsIP .cidr_contains_ip_string(net.CIDR,string)bool .cidr_contains_ip_ip(net.CIDR,net.IP)bool
containsCIDR .cidr_contains_cidr_string(net.CIDR,string)bool \
 .cidr_contains_cidr(net.CIDR,net.CIDR)bool
masked .cidr_masked(net.CIDR)net.CIDR
prefixLength .cidr_prefix_length(net.CIDR)int
quantity string_to_quantity(string)kubernetes.Quantity
isQuantity is_quantity_string(string)bool
sign quantity_sign(kubernetes.Quantity)int
isInteger .quantity_is_integer(kubernetes.Quantity)bool
asInteger .quantity_get_int(kubernetes.Quantity)int
asApproximateFloat .quantity_get_float(kubernetes.Quantity)double
add .quantity_add(kubernetes.Quantity,kubernetes.Quantity)kubernetes.Quantity \
 .quantity_add_int(kubernetes.Quantity,int)kubernetes.Quantity
sub .quantity_sub(kubernetes.Quantity,kubernetes.Quantity)kubernetes.Quantity \
 .quantity_sub_int(kubernetes.Quantity,int)kubernetes.Quantity
isGreaterThan .quantity_is_greater_than(kubernetes.Quantity,kubernetes.Quantity)bool \
 .semver_is_greater_than(kubernetes.Semver,kubernetes.Semver)bool
isLessThan .quantity_is_less_than(kubernetes.Quantity,kubernetes.Quantity)bool \
 .semver_is_less_than(kubernetes.Semver,kubernetes.Semver)bool
compareTo .quantity_compare_to(kubernetes.Quantity,kubernetes.Quantity)int \
 .semver_compare_to(kubernetes.Semver,kubernetes.Semver)int
semver string_to_semver(string)kubernetes.Semver string_bool_to_semver(string,bool)kubernetes.Semver
isSemver is_semver_string(string)bool is_semver_string_bool(string,bool)bool
major .semver_major(kubernetes.Semver)int
minor .semver_minor(kubernetes.Semver)int
patch .semver_patch(kubernetes.Semver)int
format.named format-named(string)optional_type(kubernetes.NamedFormat)
validate .format-validate(kubernetes.NamedFormat,string)optional_type(list(string))
path .authorizer_path(kubernetes.authorization.Authorizer,string)kubernetes.authorization.PathCheck
group .authorizer_group(kubernetes.authorization.Authorizer,string)\
kubernetes.authorization.GroupCheck
serviceAccount .authorizer_serviceaccount(kubernetes.authorization.Authorizer,string,string)\
kubernetes.authorization.Authorizer
resource .groupcheck_resource(kubernetes.authorization.GroupCheck,string)\
kubernetes.authorization.ResourceCheck
subresource .resourcecheck_subresource(kubernetes.authorization.ResourceCheck,string)\
kubernetes.authorization.ResourceCheck
namespace .resourcecheck_namespace(kubernetes.authorization.ResourceCheck,string)\
kubernetes.authorization.ResourceCheck
name .resourcecheck_name(kubernetes.authorization.ResourceCheck,string)\
kubernetes.authorization.ResourceCheck
fieldSelector .authorizer_fieldselector(kubernetes.authorization.ResourceCheck,string)\
kubernetes.authorization.ResourceCheck
labelSelector .authorizer_labelselector(kubernetes.authorization.ResourceCheck,string)\
kubernetes.authorization.ResourceCheck
check .pathcheck_check(kubernetes.authorization.PathCheck,string)kubernetes.authorization.Decision \
 .resourcecheck_check(kubernetes.authorization.ResourceCheck,string)\
kubernetes.authorization.Decision
errored .decision_errored(kubernetes.authorization.Decision)bool
error .decision_error(kubernetes.authorization.Decision)string
allowed .decision_allowed(kubernetes.authorization.Decision)bool
reason .decision_reason(kubernetes.authorization.Decision)string
"""
NUMBERS = ("int", "double", "uint")
ORDERED = ("bool", *NUMBERS, "string", "bytes", "timestamp", "duration")
ORDERINGS = {"_<_": "less", "_<=_": "less_equals", "_>_": "greater", "_>=_": "greater_equals"}
SUMMED = ("int", "uint", "double", "duration")
COMPARABLE = ("int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes")
FORMATS = [
    "dns1123Label",
    "dns1123Subdomain",
    "dns1035Label",
    "qualifiedName",
    "dns1123LabelPrefix",
    "dns1123SubdomainPrefix",
    "dns1035LabelPrefix",
    "labelValue",
    "uri",
    "uuid",
    "byte",
    "date",
    "datetime",
]
OPAQUE = {"net.IP", "net.CIDR", "optional_type"}
NAMED_TYPES = {
    **{name: Type(name) for name in ("bool", "bytes", "double", "dyn", "int", "string", "uint")},
    "list": Type("list", parts=(Type("dyn"),)),
    "map": Type("map", parts=(Type("dyn"), Type("dyn"))),
    "null_type": Type("null"),
    "google.protobuf.Timestamp": Type("timestamp"),
    "google.protobuf.Duration": Type("duration"),
    "type": Type("type"),
    "optional_type": Type("opaque", "optional_type", (Type("dyn"),)),
    "net.IP": Type("opaque", "net.IP"),
    "net.CIDR": Type("opaque", "net.CIDR"),
}


@dataclass(frozen=True, slots=True)
class Overload:
    name: str
    member: bool
    parameters: tuple[Type, ...]
    result: Type
    open: bool  # does the signature have type parameters?


_WORD = re.compile(r"[\w.@-]+|[(),]")


def _type(words: list[str]) -> Type:
    word = words.pop(0)
    parts: list[Type] = []
    if words and words[0] == "(":
        words.pop(0)
        parts = _types(words)
    if len(word) == 1:
        return Type("param", word)
    if word in PLAIN or word in {"list", "map", "dyn", "type", "null"}:
        return Type(word, parts=tuple(parts))
    return Type("opaque" if word in OPAQUE else "object", word, tuple(parts))


def _types(words: list[str]) -> list[Type]:
    """Types up to the closing bracket, which is taken too."""
    found = []
    while words[0] != ")":
        found.append(_type(words))
        if words[0] == ",":
            words.pop(0)
    words.pop(0)
    return found


def _open(found: Type) -> bool:
    return found.kind == "param" or any(_open(p) for p in found.parts)


def overload(text: str) -> Overload:
    words = _WORD.findall(text.lstrip("."))
    name = words.pop(0)
    words.pop(0)
    parameters = tuple(_types(words))
    result = _type(words)
    return Overload(
        name,
        text.startswith("."),
        parameters,
        result,
        any(_open(p) for p in (*parameters, result)),
    )


@lru_cache(1)
def functions() -> dict[str, list[Overload]]:
    """Every function with its overloads, in the order in which they are tried."""
    found: dict[str, list[Overload]] = {}
    for line in FUNCTIONS.replace("\\\n", "").splitlines():
        name, *overloads = line.split()[:1] + line.split()[1:] if line else [""]
        if name:
            found[name] = [overload(o) for o in overloads]
    for name, word in ORDERINGS.items():
        pairs = [(t, t) for t in ORDERED]
        pairs += [(a, b) for a in NUMBERS for b in NUMBERS if a != b]
        found[name] = [overload(f"{word}_{a}_{b}({a},{b})bool") for a, b in pairs]
    found["isSorted"] = [overload(f".list_{t}_is_sorted(list({t}))bool") for t in COMPARABLE]
    found["sum"] = [overload(f".list_{t}_sum(list({t})){t}") for t in SUMMED]
    for name in ("max", "min"):
        found[name] = [overload(f".list_{t}_{name}(list({t})){t}") for t in COMPARABLE]
    found["sort"] = [overload(f".list_{t}_sort(list({t}))list({t})") for t in COMPARABLE]
    found["@sortByAssociatedKeys"] = [
        overload(f".list_{t}_sortByAssociatedKeys(list(T),list({t}))list(T)") for t in COMPARABLE
    ]
    for name in FORMATS:
        found[f"format.{name}"] = [overload(f"format.{name}()kubernetes.NamedFormat")]
    return found
