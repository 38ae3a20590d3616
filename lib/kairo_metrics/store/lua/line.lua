-- The server's clock, and packed lines as in schema.py. A word is one token of a line; most words are numbers as text.
-- native.lua is before this file, and apply.lua follows it.

local TIMES_WIDTH = 28 -- " <created ms> <touched ms>"

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local now_text = string.format('%013.0f', now)

local function number_text(number)
  if number ~= number then return 'NaN' end
  if number == math.huge then return '+Inf' end
  if number == -math.huge then return '-Inf' end
  local short = string.format('%.15g', number)
  if tonumber(short) == number then return short end
  return string.format('%.17g', number)
end

-- By letter of a shape: returns the word in the form that we print, or a false value if it does not fit the letter. A
-- count has at most 15 digits; a longer one is damaged.
local fitting = {}

function fitting.f(word)
  if #word <= 24 and string.find(word, '^%-?%d+%.?%d*$') then return string.find(word, '%d$') and word end
  local number = string.find(word, '^%-?%d[%d.e+-]*$') and tonumber(word)
  return number and math.abs(number) < math.huge and number_text(number)
end

function fitting.a(word) return (word == '+Inf' or word == '-Inf' or word == 'NaN') and word or fitting.f(word) end
function fitting.g(word) return word == '+Inf' and word or string.sub(word, 1, 1) ~= '-' and fitting.f(word) end
function fitting.w(word) return #word <= 15 and string.find(word, '^%d+$') and word end
function fitting.i(word) return #word <= 16 and string.find(word, '^%-?%d+$') and word end
function fitting.x(word) return string.find(word, '^=[!-~]*$') and word end
function fitting.z(word) return string.sub(word, 1, 1) ~= '-' and fitting.f(word) end
function fitting.s(word) return native.is_schema(word) and word end
function fitting.b(word) return native.is_side(word) and word end

-- The words of a stored line, or nil if it has expired or is damaged.
local function words_of(line, shape, life_ms)
  local created, touched = string.match(line, ' (%d+) (%d+)$', -TIMES_WIDTH)
  if not created or #created ~= 13 or #touched ~= 13 or now - touched > life_ms then return nil end
  local words = { created = created }
  for word in string.gmatch(string.sub(line, 1, -TIMES_WIDTH - 1), '%S+') do
    local letter = string.sub(shape, #words + 1, #words + 1)
    local fitted = letter ~= '' and fitting[letter](word)
    if not fitted then return nil end
    words[#words + 1] = fitted
  end
  if #words ~= #shape or (shape == native.SHAPE and not native.adds_up(words)) then return nil end
  return words
end

-- The words of a stored line, or zeros if it is absent, expired or damaged. Numbers stay text: only those that a delta
-- changes are converted.
local function unpack_line(line, shape, life_ms)
  local numbers = line and words_of(line, shape, life_ms)
  if numbers then return numbers end
  numbers = { created = now_text }
  for index = 1, #shape do numbers[index] = '0' end
  return numbers
end
