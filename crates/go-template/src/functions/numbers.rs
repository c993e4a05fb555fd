//! Functions of numbers.

use super::cast::{self, Base, NumberError};
use super::decimal::{Decimal, DecimalError, Operation};
use super::show::printed;
use super::{ANY, Answer, FLOAT, INT, STRING, add_all, charge_items, text};
use crate::function::{Args, Call, CallError, Function, Functions, Signature};
use crate::value::{List, Type, Value};

const ONE: Signature = Signature::fixed(&[ANY]);
const TWO: Signature = Signature::fixed(&[ANY, ANY]);
const MANY: Signature = Signature::variadic(&[], ANY);
const ONE_AND_MORE: Signature = Signature::variadic(&[ANY], ANY);

/// `cast.ToInt64`: what is no number is 0.
pub(super) fn to_int(value: &Value) -> i64 {
    match value {
        Value::Int(number, _) => *number,
        #[expect(clippy::cast_possible_wrap, reason = "Go wraps here too")]
        Value::Uint(number, _) => *number as i64,
        Value::Float(number) => cast::float_to_int(*number),
        Value::Str(given) => cast::text_to_int(given.as_bytes()),
        Value::Bool(given) => i64::from(*given),
        Value::Object(object) if matches!(object.object_type(), Type::Named("time.Month" | "time.Weekday", _)) => {
            object.underlying().map_or(0, |number| to_int(&number))
        }
        _ => 0,
    }
}

/// `cast.ToFloat64`: what is no number is 0.
#[expect(clippy::cast_precision_loss, reason = "Go rounds here too")]
pub(super) fn to_float(value: &Value) -> f64 {
    match value {
        Value::Int(number, _) => *number as f64,
        Value::Uint(number, _) => *number as f64,
        Value::Float(number) => *number,
        Value::Str(given) => cast::text_to_float(given.as_bytes()),
        Value::Bool(given) => f64::from(u8::from(*given)),
        other => to_int(other) as f64,
    }
}

pub(super) fn add(functions: &mut Functions) {
    add_conversions(functions);
    add_integer_arithmetic(functions);
    add_float_arithmetic(functions);
    add_comparisons(functions);
    add_sequences(functions);
}

fn add_conversions(functions: &mut Functions) {
    functions.add(Function::new("int", ONE, |_, args| Ok(Value::int(to_int(args.value(0))))));
    functions.add(Function::new("int64", ONE, |_, args| Ok(Value::int64(to_int(args.value(0))))));
    functions.add(Function::new("float64", ONE, |_, args| Ok(Value::Float(to_float(args.value(0))))));
    functions.add(Function::new("atoi", Signature::fixed(&[STRING]), |_, args| {
        let given = args.string(0)?.as_bytes();
        // Go's Atoi gives the nearest number along with the error, which sprig drops.
        Ok(Value::int(match cast::parse_int(given, Base::Of(10)) {
            Ok(number) => number,
            Err(NumberError::Range) if given.starts_with(b"-") => i64::MIN,
            Err(NumberError::Range) => i64::MAX,
            Err(NumberError::Syntax) => 0,
        }))
    }));
    functions.add(Function::new("toDecimal", ONE, |call, args| {
        let shown = printed(call, args.value(0))?;
        Ok(Value::int64(cast::parse_int(&shown, Base::Of(8)).unwrap_or(0)))
    }));
}

fn add_integer_arithmetic(functions: &mut Functions) {
    functions.add(Function::new("add1", ONE, |_, args| Ok(Value::int64(to_int(args.value(0)).wrapping_add(1)))));
    functions.add(Function::new("add", MANY, |_, args| {
        Ok(Value::int64(args.all().iter().map(to_int).fold(0, i64::wrapping_add)))
    }));
    functions.add(Function::new("mul", ONE_AND_MORE, |_, args| {
        Ok(Value::int64(args.all().iter().map(to_int).fold(1, i64::wrapping_mul)))
    }));
    functions.add(Function::new("sub", TWO, |_, args| {
        Ok(Value::int64(to_int(args.value(0)).wrapping_sub(to_int(args.value(1)))))
    }));
    functions.add(Function::new("div", TWO, |_, args| {
        let divisor = divisor(args)?;
        Ok(Value::int64(to_int(args.value(0)).wrapping_div(divisor)))
    }));
    functions.add(Function::new("mod", TWO, |_, args| {
        let divisor = divisor(args)?;
        Ok(Value::int64(to_int(args.value(0)).wrapping_rem(divisor)))
    }));
}

fn divisor(args: Args<'_>) -> Result<i64, CallError> {
    match to_int(args.value(1)) {
        0 => Err(CallError::new("runtime error: integer divide by zero")),
        divisor => Ok(divisor),
    }
}

fn add_float_arithmetic(functions: &mut Functions) {
    functions.add(Function::new("add1f", ONE, |call, args| {
        decimal(call, to_float(args.value(0)), &[Value::Float(1.0)], Operation::Add)
    }));
    functions.add(Function::new("addf", MANY, |call, args| decimal(call, 0.0, args.all(), Operation::Add)));
    for (name, operation) in [("subf", Operation::Subtract), ("mulf", Operation::Multiply), ("divf", Operation::Divide)]
    {
        functions.add(Function::new(name, ONE_AND_MORE, move |call, args| {
            decimal(call, to_float(args.value(0)), args.rest(1), operation)
        }));
    }
    functions.add(Function::new("floor", ONE, |_, args| Ok(Value::Float(to_float(args.value(0)).floor()))));
    functions.add(Function::new("ceil", ONE, |_, args| Ok(Value::Float(to_float(args.value(0)).ceil()))));
    functions.add(Function::new("round", Signature::variadic(&[ANY, INT], FLOAT), |_, args| {
        let round_on = if args.len() > 2 { args.float(2)? } else { 0.5 };
        Ok(Value::Float(cast::round(to_float(args.value(0)), args.int(1)?, round_on)))
    }));
}

fn decimal(call: &mut Call<'_>, first: f64, others: &[Value], operation: Operation) -> Answer {
    let told = |error: DecimalError| CallError::new(error.to_string());
    let mut result = Decimal::of(first).map_err(told)?;
    for other in others {
        // A factor adds its digits to the product.
        call.step(64)?;
        result = result.apply(operation, &Decimal::of(to_float(other)).map_err(told)?).map_err(told)?;
    }
    Ok(Value::Float(result.to_float()))
}

fn add_comparisons(functions: &mut Functions) {
    add_all(functions, &["max", "biggest"], ONE_AND_MORE, |_, args| {
        Ok(Value::int64(args.all().iter().map(to_int).max().unwrap_or(0)))
    });
    functions.add(Function::new("min", ONE_AND_MORE, |_, args| {
        Ok(Value::int64(args.all().iter().map(to_int).min().unwrap_or(0)))
    }));
    functions.add(Function::new("maxf", ONE_AND_MORE, |_, args| Ok(extreme(args, |a, b| a > b))));
    functions.add(Function::new("minf", ONE_AND_MORE, |_, args| Ok(extreme(args, |a, b| a < b))));
}

/// Go's `math.Max` or `math.Min` over all arguments: not a number when one of them is none.
fn extreme(args: Args<'_>, is_beyond: fn(f64, f64) -> bool) -> Value {
    let mut numbers = args.all().iter().map(to_float);
    let first = numbers.next().unwrap_or(0.0);
    Value::Float(numbers.fold(first, |best, number| {
        if best.is_nan() || number.is_nan() {
            f64::NAN
        } else if is_beyond(number, best) {
            number
        } else {
            best
        }
    }))
}

fn add_sequences(functions: &mut Functions) {
    functions.add(Function::new("until", Signature::fixed(&[INT]), |call, args| {
        let count = args.int(0)?;
        integers(call, Steps { start: 0, stop: count, step: if count < 0 { -1 } else { 1 } })
    }));
    functions.add(Function::new("untilStep", Signature::fixed(&[INT, INT, INT]), |call, args| {
        integers(call, Steps { start: args.int(0)?, stop: args.int(1)?, step: args.int(2)? })
    }));
    functions.add(Function::new("seq", Signature::variadic(&[], INT), |call, args| {
        let numbers: Vec<i64> = (0..args.len()).map(|place| args.int(place)).collect::<Result<_, _>>()?;
        let steps = match numbers.as_slice() {
            [end] => inclusive(1, *end, None),
            [start, end] => inclusive(*start, *end, None),
            [start, step, end] if end < start && *step > 0 => return text(call, Vec::new()),
            [start, step, end] => inclusive(*start, *end, Some(*step)),
            _ => return text(call, Vec::new()),
        };
        let count = steps.count();
        charge_items(call, count)?;
        let shown: Vec<String> = steps.numbers(count).map(|number| number.to_string()).collect();
        text(call, shown.join(" "))
    }));
}

/// From a start to before a stop.
#[derive(Debug, Clone, Copy)]
struct Steps {
    start: i64,
    stop: i64,
    step: i64,
}

/// From a start to an end, the end included.
fn inclusive(start: i64, end: i64, step: Option<i64>) -> Steps {
    let direction = if end < start { -1 } else { 1 };
    Steps { start, stop: end.wrapping_add(direction), step: step.unwrap_or(direction) }
}

impl Steps {
    /// How many numbers there are: none where the step leads away from the stop.
    fn count(self) -> usize {
        let distance = i128::from(self.stop) - i128::from(self.start);
        let step = i128::from(self.step);
        if distance == 0 || step == 0 || (distance < 0) != (step < 0) {
            return 0;
        }
        usize::try_from((distance.abs() + step.abs() - 1) / step.abs()).unwrap_or(usize::MAX)
    }

    fn numbers(self, count: usize) -> impl Iterator<Item = i64> {
        std::iter::successors(Some(self.start), move |number| Some(number.wrapping_add(self.step))).take(count)
    }
}

fn integers(call: &mut Call<'_>, steps: Steps) -> Answer {
    let count = steps.count();
    charge_items(call, count)?;
    Ok(Value::List(List::of(Type::INT_LIST, steps.numbers(count).map(Value::int).collect())))
}
